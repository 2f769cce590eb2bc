//go:build !(amd64 || arm64) || plain

package spawn

const forking = "fork_plain.go"
