package tutorial

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

// shell is a bash that takes one command after the other. A shell that a
// command starts in it reads the commands that follow, as at a terminal.
type shell struct {
	cmd   *exec.Cmd
	in    *os.File
	lines chan string // of standard output and standard error; closed at the end
}

// mark ends the output of a command.
const mark = "--- end of this command ---"

func startShell(dir string, env []string) (*shell, error) {
	inRead, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inRead.Close()
	out, outWrite, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer outWrite.Close()
	s := &shell{cmd: exec.Command("bash"), in: in, lines: make(chan string, 64)}
	s.cmd.Dir, s.cmd.Env = dir, env
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = inRead, outWrite, outWrite
	// Were the page's own unshare to fail, nothing would reach the machine either.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	if err := s.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go s.read(out)
	return s, nil
}

func (s *shell) read(out io.ReadCloser) {
	defer out.Close()
	defer close(s.lines)
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			s.lines <- line
		}
		if err != nil {
			return
		}
	}
}

// do runs a command and gives what it prints. What the command does not end
// with a line end gets one.
func (s *shell) do(command string) (string, error) {
	if _, err := fmt.Fprintf(s.in, "%s\necho '%s'\n", command, mark); err != nil {
		return "", err
	}
	var output strings.Builder
	late := time.NewTimer(testwait.Bound())
	defer late.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return output.String(), fmt.Errorf("the shell has ended")
			}
			if before, ended := strings.CutSuffix(line, mark+"\n"); ended {
				if before != "" {
					output.WriteString(before + "\n")
				}
				return output.String(), nil
			}
			output.WriteString(line)
		case <-late.C:
			return output.String(), fmt.Errorf("no end after %v", testwait.Bound())
		}
	}
}

// close ends the shell and all that runs in its process group.
func (s *shell) close() {
	s.in.Close()
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.cmd.Wait()
}
