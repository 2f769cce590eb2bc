package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pod is a sandbox that runs.
type pod struct {
	k      *kubelet
	id     string
	config *cri.PodSandboxConfig
}

var counter atomic.Int64

// unique returns a name that no other pod or container of this run has.
func unique(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), counter.Add(1))
}

// newPod runs a sandbox; change may be nil.
func (k *kubelet) newPod(change func(*cri.PodSandboxConfig)) (*pod, error) {
	name := unique("pod")
	config := &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"},
		Hostname:     name,
		LogDirectory: filepath.Join(k.dir, name),
		DnsConfig:    &cri.DNSConfig{Servers: []string{"192.0.2.1"}},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    k.parent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: privateOptions()},
		},
	}
	if change != nil {
		change(config)
	}
	if err := os.MkdirAll(config.LogDirectory, 0o755); err != nil {
		return nil, err
	}
	answer, err := k.RunPodSandbox(k.ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return nil, fmt.Errorf("RunPodSandbox: %w", err)
	}
	p := &pod{k: k, id: answer.PodSandboxId, config: config}
	k.undo = append(k.undo, p.remove)
	return p, nil
}

// privateOptions are the namespaces of a pod in Kubernetes: pids for each container, and
// no network to set up.
func privateOptions() *cri.NamespaceOption {
	return &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER, Ipc: cri.NamespaceMode_POD, Network: cri.NamespaceMode_POD}
}

// remove stops and removes the pod. It stops again, as a kubelet does after any error, when
// containerd says that a shim's connection was closed: so it does for a container that ends while
// it is being killed, by the end of the one whose pid namespace it has.
func (p *pod) remove() error {
	if err := p.k.until("the pod is stopped", func() (bool, error) {
		_, err := p.k.StopPodSandbox(p.k.ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
		if err != nil && strings.Contains(err.Error(), "ttrpc: closed") {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		return fmt.Errorf("StopPodSandbox: %w", err)
	}
	if _, err := p.k.RemovePodSandbox(p.k.ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id}); err != nil {
		return fmt.Errorf("RemovePodSandbox: %w", err)
	}
	return nil
}

// container is one that has been started in a pod.
type container struct {
	p   *pod
	id  string
	log string
}

// create makes a container that runs script; change may be nil.
func (p *pod) create(script string, change func(*cri.ContainerConfig)) (*container, error) {
	name := unique("container")
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: name},
		Image:    &cri.ImageSpec{Image: p.k.image},
		Command:  []string{"sh", "-c", script},
		LogPath:  name + ".log",
		// As a kubelet has them: an engine may count on some.
		Labels:      map[string]string{"io.kubernetes.container.name": name},
		Annotations: map[string]string{"io.kubernetes.container.restartCount": "0"},
		Linux: &cri.LinuxContainerConfig{
			Resources:       &cri.LinuxContainerResources{},
			SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: p.config.Linux.SecurityContext.NamespaceOptions},
		},
	}
	if change != nil {
		change(config)
	}
	answer, err := p.k.CreateContainer(p.k.ctx, &cri.CreateContainerRequest{PodSandboxId: p.id, Config: config, SandboxConfig: p.config})
	if err != nil {
		return nil, fmt.Errorf("CreateContainer: %w", err)
	}
	return &container{p: p, id: answer.ContainerId, log: filepath.Join(p.config.LogDirectory, config.LogPath)}, nil
}

// start is create for a container that is to run.
func (p *pod) start(script string, change func(*cri.ContainerConfig)) (*container, error) {
	c, err := p.create(script, change)
	if err != nil {
		return nil, err
	}
	if _, err := p.k.StartContainer(p.k.ctx, &cri.StartContainerRequest{ContainerId: c.id}); err != nil {
		return nil, fmt.Errorf("StartContainer: %w", err)
	}
	return c, nil
}

// endOfOutput is the last line that a container prints whose output is read.
const endOfOutput = "end of output"

// output runs script in a new container of the pod and returns what it prints. The container
// lives until its pod is removed: containerd 2 loses output of one that ends at once.
func (p *pod) output(script string, change func(*cri.ContainerConfig)) (string, error) {
	c, err := p.start(script+"\necho "+endOfOutput+"; exec sleep 1000", change)
	if err != nil {
		return "", err
	}
	return c.printed()
}

// printed waits for the end of a container's output and returns what comes before it.
func (c *container) printed() (text string, err error) {
	err = c.p.k.until("the container has printed all", func() (bool, error) {
		s, err := c.status()
		if err != nil {
			return false, err
		}
		out, _ := c.logged() // a line that is being written is none yet
		before, whole := strings.CutSuffix(out, endOfOutput+"\n")
		if !whole && s.State == cri.ContainerState_CONTAINER_EXITED {
			return false, fmt.Errorf("the container has ended with exit code %d, having printed %q", s.ExitCode, out)
		}
		text = before
		return whole, nil
	})
	return text, err
}

func (c *container) status() (*cri.ContainerStatus, error) {
	answer, err := c.p.k.ContainerStatus(c.p.k.ctx, &cri.ContainerStatusRequest{ContainerId: c.id})
	if err != nil {
		return nil, fmt.Errorf("ContainerStatus: %w", err)
	}
	return answer.Status, nil
}

// wait returns the status of the container when it has ended.
func (c *container) wait() (status *cri.ContainerStatus, err error) {
	err = c.p.k.until("the container ends", func() (bool, error) {
		status, err = c.status()
		return err == nil && status.State == cri.ContainerState_CONTAINER_EXITED, err
	})
	return status, err
}

// logged returns the text of the container's log, without the stamps of the format.
//
// Source: kubernetes, "CRI: log management"; lines are TIME STREAM TAG TEXT.
func (c *container) logged() (string, error) {
	data, err := os.ReadFile(c.log)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		fields := strings.SplitN(line, " ", 4)
		if len(fields) < 4 {
			return "", fmt.Errorf("%s: line %q", c.log, line)
		}
		out.WriteString(fields[3])
	}
	return out.String(), nil
}

// exec runs a command in the container and returns what it prints on both outputs.
func (c *container) exec(command ...string) (out string, code int, err error) {
	answer, err := c.p.k.ExecSync(c.p.k.ctx, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: command})
	if err != nil {
		return "", 0, fmt.Errorf("ExecSync: %w", err)
	}
	return string(answer.Stdout) + string(answer.Stderr), int(answer.ExitCode), nil
}

// sh is exec for a script that must succeed and print want.
func (c *container) sh(script, want string) error {
	out, code, err := c.exec("sh", "-c", script)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%s: exit code %d: %s", script, code, out)
	}
	return is(script, out, want)
}

// is returns an error unless the text, without the last newline, is want.
func is(what, text, want string) error {
	if got := strings.TrimSuffix(text, "\n"); got != want {
		return fmt.Errorf("%s:\ngot:\n%s\nwant:\n%s", what, got, want)
	}
	return nil
}

// until waits for what done reports.
func (k *kubelet) until(what string, done func() (bool, error)) error {
	for {
		switch ok, err := done(); {
		case err != nil:
			return err
		case ok:
			return nil
		}
		select {
		case <-k.ctx.Done():
			return fmt.Errorf("not in %v: %s", k.bound, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
