//go:build !(amd64 || arm64) || plain || race

package spawn

const forking = "fork_plain.go"
