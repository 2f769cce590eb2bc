package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// fillKeys uses up the quota of keys of a user, whom it becomes, and keeps it so until
// the end of its input.
func fillKeys(args []string) (string, error) {
	if err := become(args[0]); err != nil {
		return "", err
	}
	const none = 1000000 // more than any quota
	for size := 4000; size > 0; size /= 10 {
		for n := range none {
			_, err := unix.AddKey("user", fmt.Sprintf("fill%d-%d", size, n), make([]byte, size), unix.KEY_SPEC_PROCESS_KEYRING)
			if errors.Is(err, unix.EDQUOT) {
				break
			}
			if err != nil {
				return "", fmt.Errorf("add_key: %w", err)
			}
		}
	}
	return "", hold()
}

// become makes the process that of a user.
func become(text string) error {
	uid, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	if err := unix.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("setresuid: %w", err)
	}
	return nil
}

// hold tells that all is used up, and keeps it so until the end of the input.
func hold() error {
	fmt.Println("full")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
