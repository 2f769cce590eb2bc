//go:build plain

package plain

// Build is true in a build with the tag plain.
const Build = true
