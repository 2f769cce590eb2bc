// Package user emits the user and the groups of the container's process, and looks into
// passwd(5) for what the configuration does not say of it.
//
// Source: runtime-spec config.md "User"; credentials(7).
package user
