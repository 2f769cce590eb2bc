// Package id32 has the numbers of the system calls that take ids of 32 bits.
// On 386 and arm the calls of the plain names take 16 bits: user 65536 would be
// root.
//
// Source: setresuid(2), "C library/kernel differences".
package id32
