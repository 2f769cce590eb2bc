// This file lets the package declare functions without a body: those of fork.go
// are linked to the runtime's.
