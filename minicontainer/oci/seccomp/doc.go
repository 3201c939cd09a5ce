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
//	load arch; x86_64? ---> load nr; 100 or more? ---> 200 or more? ---> ...
//	     |                           |                 ...
//	     |                           50 or more? ---> return ALLOW
//	     |                           return ERRNO(1)
//	     x86?   ---> the same with other numbers
//	     return KILL
//
// The numbers are searched by halves (search.go). The rules of one system call,
// which compare its arguments, are tested one after the other.
//
// What this is not: libseccomp, which knows more processors. And most calls never
// run the program at all: the kernel keeps a bitmap of those that are always
// allowed (since Linux 5.11), which it makes by running the program for each
// number when it is loaded.
//
// See seccomp(2), bpf(4), Documentation/userspace-api/seccomp_filter.rst.
package seccomp
