//go:build plain

// Package mainstack does nothing in a plain build.
package mainstack
