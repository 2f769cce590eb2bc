// Package descent finds the processes that a test has left.
package descent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Descendants lists the children of this process, theirs, and so on; of an init
// these are all processes of its namespace but those that were put into it.
func Descendants() []int {
	list := childrenOf(os.Getpid())
	for i := 0; i < len(list); i++ {
		list = append(list, childrenOf(list[i])...)
	}
	return list
}

func childrenOf(process int) []int {
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", process))
	for _, file := range tasks {
		data, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
