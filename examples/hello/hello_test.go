package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestCapabilityName(t *testing.T) {
	for i, want := range map[int]string{0: "CHOWN", 21: "SYS_ADMIN", 29: "AUDIT_WRITE", 40: "CHECKPOINT_RESTORE", 41: "41"} {
		if got := capabilityName(i); got != want {
			t.Errorf("capabilityName(%d) = %q, want %q", i, got, want)
		}
	}
}

func TestSetText(t *testing.T) {
	for mask, want := range map[string]string{
		"0000000000000000": "none",
		"0000000020000420": "KILL NET_BIND_SERVICE AUDIT_WRITE",
		"x":                "x",
	} {
		if got := setText(mask); got != want {
			t.Errorf("setText(%q) = %q, want %q", mask, got, want)
		}
	}
}

func TestDeviceNumber(t *testing.T) {
	for dev, want := range map[uint64]string{0x103: "1:3", 0x8800002: "0:34818", 0x501: "5:1"} {
		if got := deviceNumber(dev); got != want {
			t.Errorf("deviceNumber(%#x) = %q, want %q", dev, got, want)
		}
	}
}

func TestReportHasEverySection(t *testing.T) {
	var r report
	r.identity()
	r.namespaces()
	r.cgroup()
	r.privileges()
	r.capabilities()
	r.limits()
	r.mounts()
	r.devices()
	r.descriptors()
	r.environment()
	text := string(r.text)
	for _, want := range []string{
		"process\n  pid ", "\nnamespaces\n  cgroup ", "\ncgroup\n  ", "\nprivileges\n  ", "\ncapabilities\n  bounding",
		"\nlimits (soft, hard)\n  cpu time ", "\nmounts\n  ", "\n/dev\n  ", "\nopen files\n  0 ", "\nenvironment\n  ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestConfigIsJSON(t *testing.T) {
	data, err := os.ReadFile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Process struct{ Args []string }
		Root    struct{ Readonly bool }
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Process.Args) != 1 || spec.Process.Args[0] != "/hello" || !spec.Root.Readonly {
		t.Errorf("config.json: %+v, want args [/hello] and a read-only root", spec)
	}
}
