// Package slack spares this program wake-ups that do nothing for it.
//
// Every Go program has a thread that looks after the others, "sysmon": it takes
// the processor from a goroutine that has been in a system call for long, and so
// on. While there is something to look after it sleeps 20 microseconds at a time,
// 70 with what the kernel adds, and each of its turns takes some 20 from whoever
// works on that processor. A program that lives for 20 milliseconds and is mostly
// system calls loses every tenth one to it.
//
// How late the kernel may wake a thread, so that it can wake several at once, is
// the thread's timer slack, by default 50 microseconds. This package gives the
// watching thread a millisecond, in an init function: the sooner the better. The
// price is that a goroutine may wait a millisecond for a processor that another
// one holds in a system call.
//
// See PR_SET_TIMERSLACK in prctl(2), /proc/pid/timerslack_ns in proc(5), and
// sysmon in the Go runtime's proc.go.
package slack

import "syscall"

// wide is the watching thread's slack, in nanoseconds.
const wide = "1000000"

// inherited is the slack of the thread that the program began with.
var inherited uintptr

func init() {
	inherited, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_TIMERSLACK, 0, 0)
	widen()
}

// Inherited is the slack in nanoseconds that this program was started with. A
// thread has that of who made it, and the watching thread makes some: a child that
// is to have what its caller had must be given it (PR_SET_TIMERSLACK).
func Inherited() uintptr { return inherited }

// widen gives the watching thread its slack. Who has no right to (CAP_SYS_NICE),
// or no procfs, is a little slower.
func widen() {
	tid := watcher()
	if tid == "" {
		return
	}
	fd, err := syscall.Open("/proc/"+tid+"/timerslack_ns", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	syscall.Write(fd, []byte(wide))
	syscall.Close(fd)
}

// watcher is the number of the thread that the runtime made first, as procfs has
// it: it lists the threads in the order in which they were made.
func watcher() string {
	fd, err := syscall.Open("/proc/self/task", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	room := make([]byte, 512)
	n, err := syscall.ReadDirent(fd, room)
	if err != nil {
		return ""
	}
	_, _, threads := syscall.ParseDirent(room[:n], -1, nil)
	if len(threads) < 2 {
		return ""
	}
	return threads[1]
}
