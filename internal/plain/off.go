//go:build !plain

// Package plain tells a build with the tag plain from another one. Such a build goes
// without what is done for speed alone and costs more than a line: docs/decisions
// names each, from 0005 on, and what it is good for.
package plain

// Build is true in a build with the tag plain.
const Build = false
