// Package seccomp turns the seccomp object of an OCI config.json into the small
// program that the kernel runs before every system call of the container.
//
// The program is classic BPF: load a word, compare, jump forward, return. It
// sees only struct seccomp_data, never memory behind a pointer:
//
//	offset 0   nr                    the system call's number
//	offset 4   arch                  which table that number belongs to
//	offset 8   instruction pointer
//	offset 16  args[0] low, high     six arguments of 64 bits
//	...
//
// One number means different calls on different architectures, and an x86_64
// kernel also runs the calls of 32-bit programs. A filter that looks at nr alone
// is walked around with a 32-bit system call. So the program is a section per
// architecture, chosen by the second word, and death for all others:
//
//	load arch; x86_64? ---> load nr; read? ---> return ALLOW
//	     |                           mkdir? --> return ERRNO(1)
//	     |                           return default
//	     x86?   ---> the same with other numbers
//	     return KILL
//
// What this is not: libseccomp. Rules are tested one after the other; there is
// no tree. The kernel keeps a bitmap of numbers that are always allowed, so the
// common calls never run the program at all (since Linux 5.11).
//
// See seccomp(2), bpf(4), Documentation/userspace-api/seccomp_filter.rst.
package seccomp
