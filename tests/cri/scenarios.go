package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func ready(k *kubelet) error {
	answer, err := k.Status(k.ctx, &cri.StatusRequest{})
	if err != nil {
		return err
	}
	for _, c := range answer.Status.Conditions {
		if c.Type == "RuntimeReady" && c.Status {
			return nil
		}
	}
	return fmt.Errorf("the runtime is not ready: %v", answer.Status.Conditions)
}

func run(k *kubelet) error {
	p, err := k.newPod(nil)
	if err != nil {
		return err
	}
	c, err := p.start("echo $A; cat /proc/1/comm; echo "+endOfOutput+"; until [ -e /tmp/read ]; do sleep 0.1; done; exit 7", func(c *cri.ContainerConfig) {
		c.Envs = []*cri.KeyValue{{Key: "A", Value: []byte("one")}}
	})
	if err != nil {
		return err
	}
	out, err := c.printed()
	if err := errors.Join(err, is("log", out, "one\nsh")); err != nil {
		return err
	}
	if err := c.sh("touch /tmp/read", ""); err != nil {
		return err
	}
	s, err := c.wait()
	if err == nil && s.ExitCode != 7 {
		err = fmt.Errorf("exit code %d, want 7", s.ExitCode)
	}
	return err
}

func execs(k *kubelet) error {
	c, err := k.sleeper(nil)
	if err != nil {
		return err
	}
	if err := c.sh("cat /proc/1/comm; echo problem >&2", "sleep\nproblem"); err != nil {
		return err
	}
	if _, code, err := c.exec("sh", "-c", "exit 9"); err != nil || code != 9 {
		return fmt.Errorf("exit code %d, want 9 (%v)", code, err)
	}
	_, _, err = c.exec("/no/such/program")
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		return fmt.Errorf("a missing program: %v", err)
	}
	return nil
}

// sleeper is a container that does nothing, in a pod of its own.
func (k *kubelet) sleeper(change func(*cri.ContainerConfig)) (*container, error) {
	p, err := k.newPod(nil)
	if err != nil {
		return nil, err
	}
	return p.start("exec sleep 1000", change)
}

// probes are what the kubelet does all the time: commands in many containers at once.
func probes(k *kubelet) error {
	c, err := k.sleeper(nil)
	if err != nil {
		return err
	}
	errs := make([]error, 20)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			out, code, err := c.exec("sh", "-c", fmt.Sprintf("echo %d; exit %d", i, i%3))
			if err == nil && code != i%3 {
				err = fmt.Errorf("exit code %d, want %d", code, i%3)
			}
			errs[i] = errors.Join(err, is("probe", out, fmt.Sprint(i)))
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// slowExec is a probe with a timeout: nothing of it is left.
func slowExec(k *kubelet) error {
	c, err := k.sleeper(nil)
	if err != nil {
		return err
	}
	_, err = k.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"sleep", "54321"}, Timeout: 1})
	if status.Code(err) != codes.DeadlineExceeded && !strings.Contains(fmt.Sprint(err), context.DeadlineExceeded.Error()) {
		return fmt.Errorf("no timeout: %v", err)
	}
	return k.until("the process is gone", func() (bool, error) {
		out, _, err := c.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
		return !strings.Contains(out, "sleep 54321"), err
	})
}

func stops(k *kubelet) error {
	for name, tt := range map[string]struct {
		script string
		code   int32
	}{
		"gently": {"trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done", 3},
		"hard":   {"trap '' TERM; echo ready; while :; do sleep 0.1; done", 137},
	} {
		p, err := k.newPod(nil)
		if err != nil {
			return err
		}
		c, err := p.start(tt.script, nil)
		if err != nil {
			return err
		}
		if err := k.until("it is ready", func() (bool, error) { out, _ := c.logged(); return out == "ready\n", nil }); err != nil {
			return err
		}
		grace := int64(k.bound / time.Second)
		if tt.code == 137 {
			grace = 1
		}
		if _, err := k.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: c.id, Timeout: grace}); err != nil {
			return fmt.Errorf("StopContainer: %w", err)
		}
		if s, err := c.status(); err != nil || s.ExitCode != tt.code {
			return fmt.Errorf("%s: exit code %d, want %d (%v)", name, s.GetExitCode(), tt.code, err)
		}
		if _, err := k.RemoveContainer(k.ctx, &cri.RemoveContainerRequest{ContainerId: c.id}); err != nil {
			return fmt.Errorf("RemoveContainer: %w", err)
		}
	}
	return nil
}

// sharedPids is a pod whose containers see each other's processes.
func sharedPids(k *kubelet) error {
	p, err := k.newPod(func(c *cri.PodSandboxConfig) {
		c.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_POD
	})
	if err != nil {
		return err
	}
	if _, err := p.start("exec sleep 23456", nil); err != nil {
		return err
	}
	c, err := p.start("exec sleep 1000", nil)
	if err != nil {
		return err
	}
	return c.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 23456' | head -1", "sleep 23456")
}

// targetPid is an ephemeral container: it has the pid namespace of another container.
func targetPid(k *kubelet) error {
	c, err := k.sleeper(nil)
	if err != nil {
		return err
	}
	out, err := c.p.output("cat /proc/1/comm; ls -d /proc/1/root/bin", func(config *cri.ContainerConfig) {
		config.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{Pid: cri.NamespaceMode_TARGET, TargetId: c.id, Ipc: cri.NamespaceMode_POD, Network: cri.NamespaceMode_POD}
		config.Linux.SecurityContext.Capabilities = &cri.Capability{AddCapabilities: []string{"SYS_PTRACE"}}
	})
	if err != nil {
		return err
	}
	return is("the target's init", out, "sleep\n/proc/1/root/bin")
}

func hostNamespaces(k *kubelet) error {
	p, err := k.newPod(func(c *cri.PodSandboxConfig) {
		c.Linux.SecurityContext.NamespaceOptions = &cri.NamespaceOption{Pid: cri.NamespaceMode_NODE, Ipc: cri.NamespaceMode_NODE, Network: cri.NamespaceMode_NODE}
		c.Hostname = ""
	})
	if err != nil {
		return err
	}
	out, err := p.output("for n in pid ipc net; do readlink /proc/self/ns/$n; done", nil)
	if err != nil {
		return err
	}
	var want []string
	for _, name := range []string{"pid", "ipc", "net"} {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			return err
		}
		want = append(want, link)
	}
	return is("namespaces", out, strings.Join(want, "\n"))
}

func securityContext(k *kubelet) error {
	p, err := k.newPod(nil)
	if err != nil {
		return err
	}
	out, err := p.output(`id -u; id -g; id -G; grep -E 'CapBnd|NoNewPrivs' /proc/self/status
touch /x 2>/dev/null || echo read-only; head -c 1 /proc/keys | wc -c; echo x 2>/dev/null >/proc/sys/kernel/domainname || echo closed`,
		func(c *cri.ContainerConfig) {
			s := c.Linux.SecurityContext
			s.RunAsUser, s.RunAsGroup = &cri.Int64Value{Value: 1000}, &cri.Int64Value{Value: 1001}
			s.SupplementalGroups = []int64{5, 6}
			s.ReadonlyRootfs, s.NoNewPrivs = true, true
			s.Capabilities = &cri.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}}
			s.MaskedPaths = []string{"/proc/keys"}
			s.ReadonlyPaths = []string{"/proc/sys"}
		})
	if err != nil {
		return err
	}
	return is("security context", out, "1000\n1001\n1001 5 6\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1\nread-only\n0\nclosed")
}

func seccomp(k *kubelet) error {
	for profile, want := range map[cri.SecurityProfile_ProfileType]string{
		cri.SecurityProfile_RuntimeDefault: "Seccomp:\t2\nrefused",
		cri.SecurityProfile_Unconfined:     "Seccomp:\t0\nmade",
	} {
		p, err := k.newPod(nil)
		if err != nil {
			return err
		}
		out, err := p.output("grep Seccomp: /proc/self/status; unshare -U true 2>/dev/null && echo made || echo refused", func(c *cri.ContainerConfig) {
			c.Linux.SecurityContext.Seccomp = &cri.SecurityProfile{ProfileType: profile}
		})
		if err := errors.Join(err, is(profile.String(), out, want)); err != nil {
			return err
		}
	}
	return nil
}

func volumes(k *kubelet) error {
	source := filepath.Join(k.dir, "volume")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	c, err := k.sleeper(func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{
			{HostPath: source, ContainerPath: "/data"},
			{HostPath: source, ContainerPath: "/deep/er/seen", Readonly: true},
		}
	})
	if err != nil {
		return err
	}
	if err := c.sh("echo written >/data/file; cat /deep/er/seen/file; touch /deep/er/seen/x 2>/dev/null || echo read-only", "written\nread-only"); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(source, "file"))
	return errors.Join(err, is("on the host", string(data), "written"))
}

// features returns what the engine knows of the runtime, by the runtime's `features`.
func (k *kubelet) features() (*cri.RuntimeHandlerFeatures, error) {
	answer, err := k.Status(k.ctx, &cri.StatusRequest{})
	if err != nil {
		return nil, err
	}
	for _, h := range answer.RuntimeHandlers {
		if h.Name == "" && h.Features != nil {
			return h.Features, nil
		}
	}
	return &cri.RuntimeHandlerFeatures{}, nil
}

func recursiveReadOnly(k *kubelet) error {
	f, err := k.features()
	if err != nil {
		return err
	}
	if !f.RecursiveReadOnlyMounts {
		return fmt.Errorf("%w: recursive read-only mounts", errLacks)
	}
	source := filepath.Join(k.dir, "volume")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	c, err := k.sleeper(func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{{HostPath: source, ContainerPath: "/data", Readonly: true, RecursiveReadOnly: true}}
	})
	if err != nil {
		return err
	}
	return c.sh("touch /data/x 2>/dev/null || echo read-only", "read-only")
}

func userNamespace(k *kubelet) error {
	f, err := k.features()
	if err != nil {
		return err
	}
	if !f.UserNamespaces {
		return fmt.Errorf("%w: user namespaces", errLacks)
	}
	source := filepath.Join(k.dir, "volume")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	ids := []*cri.IDMapping{{HostId: 300000, ContainerId: 0, Length: 65536}}
	options := privateOptions()
	options.UsernsOptions = &cri.UserNamespace{Mode: cri.NamespaceMode_POD, Uids: ids, Gids: ids}
	p, err := k.newPod(func(c *cri.PodSandboxConfig) { c.Linux.SecurityContext.NamespaceOptions = options })
	if err != nil {
		return err
	}
	c, err := p.start("exec sleep 1000", func(c *cri.ContainerConfig) {
		c.Mounts = []*cri.Mount{{HostPath: source, ContainerPath: "/data", UidMappings: ids, GidMappings: ids}}
	})
	if err != nil {
		return err
	}
	if err := c.sh("head -1 /proc/self/uid_map | tr -s ' '; stat -c %u / /data; touch /x /data/x; id -u", " 0 300000 65536\n0\n0\n0"); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(source, "x"))
	if err != nil {
		return err
	}
	return is("owner on the host", fmt.Sprint(owner(info)), "0")
}

func update(k *kubelet) error {
	c, err := k.sleeper(func(c *cri.ContainerConfig) {
		c.Linux.Resources = &cri.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuPeriod: 100000, CpuQuota: 50000, CpuShares: 512}
	})
	if err != nil {
		return err
	}
	if err := k.limits(c, "67108864", "50000"); err != nil {
		return err
	}
	if _, err := k.UpdateContainerResources(k.ctx, &cri.UpdateContainerResourcesRequest{
		ContainerId: c.id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: 96 << 20, CpuPeriod: 100000, CpuQuota: 70000},
	}); err != nil {
		return fmt.Errorf("UpdateContainerResources: %w", err)
	}
	return k.limits(c, "100663296", "70000")
}

// outOfMemory has a victim that init outlives, and that waits until the container has been
// started: containerd begins to look for the event behind the start, and on cgroup v1 drops one
// that it reads when the cgroup is gone.
func outOfMemory(k *kubelet) error {
	p, err := k.newPod(nil)
	if err != nil {
		return err
	}
	c, err := p.start(`until [ -e /tmp/begin ]; do sleep 0.1; done
dd if=/dev/zero of=/dev/null bs=200M count=1; code=$?; echo over; until [ -e /tmp/end ]; do sleep 0.1; done; exit $code`, func(c *cri.ContainerConfig) {
		c.Linux.Resources = &cri.LinuxContainerResources{MemoryLimitInBytes: 20 << 20, MemorySwapLimitInBytes: 20 << 20}
	})
	if err != nil {
		return err
	}
	if err := c.sh("touch /tmp/begin", ""); err != nil {
		return err
	}
	if err := k.until("the engine is told", func() (bool, error) {
		s, err := c.status()
		return err == nil && s.Reason == "OOMKilled", err
	}); err != nil {
		return err
	}
	// Before that a process has no room.
	if err := k.until("the victim has ended", func() (bool, error) {
		out, err := c.logged()
		return strings.Contains(out, "over"), err
	}); err != nil {
		return err
	}
	if err := c.sh("touch /tmp/end", ""); err != nil {
		return err
	}
	s, err := c.wait()
	if err != nil {
		return err
	}
	return is("the container's end", fmt.Sprint(s.Reason, " ", s.ExitCode), "OOMKilled 137")
}

func stats(k *kubelet) error {
	c, err := k.sleeper(nil)
	if err != nil {
		return err
	}
	return k.until("the container has statistics", func() (bool, error) {
		answer, err := k.ContainerStats(k.ctx, &cri.ContainerStatsRequest{ContainerId: c.id})
		if err != nil {
			return false, err
		}
		s := answer.Stats
		return s.Attributes.Id == c.id && s.Memory.GetWorkingSetBytes().GetValue() > 0 && s.Cpu.GetUsageCoreNanoSeconds().GetValue() > 0, nil
	})
}

func sysctls(k *kubelet) error {
	p, err := k.newPod(func(c *cri.PodSandboxConfig) {
		c.Hostname = "named"
		c.Linux.Sysctls = map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "80"}
	})
	if err != nil {
		return err
	}
	out, err := p.output("hostname; cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start; grep nameserver /etc/resolv.conf", nil)
	return errors.Join(err, is("sysctls", out, "named\n1\n80\nnameserver 192.0.2.1"))
}

func impossible(k *kubelet) error {
	p, err := k.newPod(nil)
	if err != nil {
		return err
	}
	c, err := p.create("", func(c *cri.ContainerConfig) { c.Command = []string{"nosuch"} })
	if err != nil {
		return err
	}
	_, err = k.StartContainer(k.ctx, &cri.StartContainerRequest{ContainerId: c.id})
	if err == nil || !strings.Contains(err.Error(), "executable file not found in $PATH") {
		return fmt.Errorf("a missing program: %v", err)
	}
	s, err := c.status()
	if err != nil {
		return err
	}
	if s.State != cri.ContainerState_CONTAINER_EXITED || s.ExitCode != 128 || s.Reason != "StartError" {
		return fmt.Errorf("state %v, exit code %d, reason %q", s.State, s.ExitCode, s.Reason)
	}
	return nil
}

func manyPods(k *kubelet) error {
	pods := make([]*pod, 6)
	for i := range pods {
		var err error
		if pods[i], err = k.newPod(nil); err != nil {
			return err
		}
	}
	errs := make([]error, len(pods))
	var wait sync.WaitGroup
	for i, p := range pods {
		wait.Go(func() {
			out, err := p.output(fmt.Sprintf("echo %d", i), nil)
			errs[i] = errors.Join(err, is("output", out, fmt.Sprint(i)))
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// checkpoint writes a container into an archive while it runs on, and makes another one of
// that, in a pod of its own. Its image is one of a registry, where containerd asks for it again.
func checkpoint(k *kubelet) error {
	if _, err := k.images.PullImage(k.ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: k.image}}); err != nil {
		return fmt.Errorf("PullImage: %w", err)
	}
	p, err := k.newPod(nil)
	if err != nil {
		return err
	}
	// What is begun anew has another word.
	const counter = "word=$(cat /proc/sys/kernel/random/uuid); i=0; while :; do i=$((i+1)); echo $word $i >/tmp/n; sleep 0.1; done"
	c, err := p.start(counter, nil)
	if err != nil {
		return err
	}
	word, first, err := k.counts(c, 1)
	if err != nil {
		return err
	}
	archive := filepath.Join(k.dir, "archive.tar")
	_, err = k.CheckpointContainer(k.ctx, &cri.CheckpointContainerRequest{ContainerId: c.id, Location: archive, Timeout: int64(k.bound.Seconds())})
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("%w: CheckpointContainer: %w", errLacks, err)
	}
	if err != nil {
		return fmt.Errorf("CheckpointContainer: %w", err)
	}
	if _, _, err := k.counts(c, first); err != nil {
		return err
	}
	other, err := k.newPod(nil)
	if err != nil {
		return err
	}
	restored, err := other.start(counter, func(c *cri.ContainerConfig) { c.Image = &cri.ImageSpec{Image: archive} })
	if err != nil {
		return err
	}
	same, _, err := k.counts(restored, first)
	if err == nil && same != word {
		err = errors.New("the restored container has begun anew")
	}
	return err
}

// counts waits until the counter of a container is further than n, and returns it and the
// word before it.
func (k *kubelet) counts(c *container, n int) (word string, now int, err error) {
	pid, err := k.pid(c)
	if err != nil {
		return "", 0, err
	}
	err = k.until(fmt.Sprintf("the counter goes on from %d", n), func() (bool, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/tmp/n", pid))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		before, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		word = before
		now, _ = strconv.Atoi(number)
		return now > n, nil
	})
	return word, now, err
}
