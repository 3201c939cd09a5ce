// Package script runs system calls from a list, in a process that has nothing else.
//
// The process that becomes the container's program has little to do by then: a
// few dozen system calls, one after the other, each known beforehand. A whole Go
// program, with its threads, its heap and the start of its packages, would be
// far more than they need, would lie in memory as long as the container waits
// for its start, and would show the container the runtime's own binary. So the
// list is written outside, where Go runs already, and performed by a program of
// some two hundred bytes, which is written in assembler and goes from call to call:
//
//	runtime                                the process
//	  | Image(socket, list) -> execveat ----> maps the list's memory
//	  | Script.Write(first) -------------->   performs call after call
//	  |                                       ... recvmsg waits for more
//	  | Script.Write(second), sendmsg ---->   jumps there
//	  |                                       ... execve: the user's program
//	  | <------------- the number of the call that failed, and its errno
//
// The list lies in memory that both share (memfd_create(2)), so what a call
// returned can be read outside as well.
//
// A call can take what an earlier one returned as an argument, may be allowed
// to fail in named ways, and can be left out if an earlier one went well. That
// is all there is: no loops, no arithmetic. Whatever needs thinking is done by
// who writes the list.
//
// What this is not: a sandbox. The calls are made with all rights that the
// process has.
//
// See syscall(2), memfd_create(2), elf(5), execveat(2).
package script
