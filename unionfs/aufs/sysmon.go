package aufs

import (
	"os"
	"path/filepath"
)

// Go's runtime keeps a watchman: the thread "sysmon" looks whether threads are
// stuck in system calls, so that it can hand their turn to others. It looks
// every 20 µs while it finds any, and the threads of a FUSE server always are:
// each waits in read(2) for the next request. So the watchman alone took a
// quarter of the server's time, and each of its wake-ups pushed aside the
// thread that was answering. A hundred looks a second do as well.
//
// The runtime has no switch for that, but the kernel has one: how late a sleep
// of a thread may end (its timer slack). It is set on all threads, since nobody
// says which one is sysmon; it does not change when a thread is woken by an
// event, which is all that the others wait for.
const watchSlack = "10000000" // nanoseconds

// calmWatchman lets the threads of this process sleep longer than they asked
// for. Threads made later inherit it. Without the right to (CAP_SYS_NICE) or
// without /proc the server is slower, and otherwise the same.
//
// man page: PR_SET_TIMERSLACK(2const), proc_pid_timerslack_ns(5).
func calmWatchman() {
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		// A thread has a folder of its own in /proc that no list shows.
		os.WriteFile("/proc/"+filepath.Base(task)+"/timerslack_ns", []byte(watchSlack), 0)
	}
}
