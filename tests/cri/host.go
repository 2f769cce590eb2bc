package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// owner returns the user that a file belongs to.
func owner(info os.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

// limits holds the limits of a container against its cgroup: the one that its init is
// in, by whatever hierarchy has the controller.
func (k *kubelet) limits(c *container, memory, quota string) error {
	pid, err := k.pid(c)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return err
	}
	read := func(names ...string) string {
		for line := range strings.Lines(string(data)) {
			fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
			for _, name := range names {
				for _, dir := range []string{fields[1], ""} {
					if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", dir, fields[2], name)); err == nil {
						return strings.Fields(string(text))[0]
					}
				}
			}
		}
		return "none of " + strings.Join(names, ", ")
	}
	return errors.Join(is("memory", read("memory.limit_in_bytes", "memory.max"), memory),
		is("cpu", read("cpu.cfs_quota_us", "cpu.max"), quota))
}

// pid returns the process id of a container's init.
func (k *kubelet) pid(c *container) (int, error) {
	answer, err := k.ContainerStatus(k.ctx, &cri.ContainerStatusRequest{ContainerId: c.id, Verbose: true})
	if err != nil {
		return 0, err
	}
	var info struct {
		Pid int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(answer.Info["info"]), &info); err != nil || info.Pid == 0 {
		return 0, fmt.Errorf("no process id in %q: %v", answer.Info["info"], err)
	}
	return info.Pid, nil
}
