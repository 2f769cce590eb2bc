// Command cri is a small kubelet: it drives a container engine by Kubernetes' Container
// Runtime Interface and checks what comes of it.
//
//	cri -list
//	cri -socket PATH -image REFERENCE -parent CGROUP [-bound DURATION] SCENARIO
//
// The bound is the end of all waits of a scenario, and after it of all of taking back what the
// scenario has made, which whoever ends the command would leave.
//
// It is a module of its own, since what it takes to speak the interface has no place
// among the modules of a container runtime. It exits with 77 where the engine does not
// offer what the scenario needs, and says what.
//
// Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// errLacks is wrapped by what an engine does not offer.
var errLacks = errors.New("the engine lacks it")

// kubelet is a connection to an engine.
type kubelet struct {
	cri.RuntimeServiceClient
	images        cri.ImageServiceClient
	ctx           context.Context // ends at the bound
	bound         time.Duration
	image, parent string
	dir           string // for logs and volumes
	undo          []func() error
}

// scenario is something that Kubernetes does.
type scenario struct {
	name string
	run  func(*kubelet) error
}

func scenarios() []scenario {
	return []scenario{
		{"runtime ready", ready},
		{"run", run},
		{"exec", execs},
		{"probes", probes},
		{"exec that takes too long", slowExec},
		{"stop", stops},
		{"shared pids", sharedPids},
		{"target pid", targetPid},
		{"host namespaces", hostNamespaces},
		{"security context", securityContext},
		{"seccomp", seccomp},
		{"volumes", volumes},
		{"recursive read-only volume", recursiveReadOnly},
		{"user namespace", userNamespace},
		{"limits and update", update},
		{"out of memory", outOfMemory},
		{"stats", stats},
		{"sysctls and host name", sysctls},
		{"cannot be run", impossible},
		{"many pods", manyPods},
		{"checkpoint", checkpoint},
	}
}

func main() {
	socket := flag.String("socket", "", "the engine's socket")
	image := flag.String("image", "", "the image of busybox")
	parent := flag.String("parent", "", "the pods' cgroup")
	bound := flag.Duration("bound", 5*time.Minute, "the end of all waits")
	list := flag.Bool("list", false, "print the scenarios")
	flag.Parse()
	if *list {
		for _, s := range scenarios() {
			fmt.Println(s.name)
		}
		return
	}
	err := one(*socket, *image, *parent, *bound, flag.Arg(0))
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, errLacks) {
		os.Exit(77)
	}
	os.Exit(1)
}

// one runs the scenario of that name and takes back what it has made.
func one(socket, image, parent string, bound time.Duration, name string) (retErr error) {
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	dir, err := os.MkdirTemp("", "cri-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	k := &kubelet{RuntimeServiceClient: cri.NewRuntimeServiceClient(conn), images: cri.NewImageServiceClient(conn), ctx: ctx, bound: bound, image: image, parent: parent, dir: dir}
	defer func() {
		// The scenario may have come to the bound.
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		k.ctx = ctx
		for len(k.undo) > 0 {
			last := len(k.undo) - 1
			retErr = errors.Join(retErr, k.undo[last]())
			k.undo = k.undo[:last]
		}
	}()
	for _, s := range scenarios() {
		if s.name == name {
			return s.run(k)
		}
	}
	return fmt.Errorf("no scenario is named %q", name)
}
