//go:build !amd64

package program

const forking = "thread_go.go"
