// Package inside starts a helper process in namespaces of its own and asks it
// to do things there.
//
// # Why a process, and not a goroutine
//
// A namespace belongs to a thread, not to a goroutine, and a Go program has many
// threads. Three of the eight kinds cannot be entered by one thread of many at
// all: user and time answer EINVAL and EUSERS to a program with more than one
// thread, and pid counts only for children. So whoever wants to act inside a
// namespace needs another process there. This package makes one out of the
// running program itself: it executes /proc/self/exe again under the argv[0]
// "cutaway-inside" and talks with it over a socket pair.
//
//	caller                                       helper ("cutaway-inside")
//	┌──────────────────────────┐    socketpair   ┌───────────────────────────┐
//	│ h.Call(ctx,"ns.mount",…) │ ──── JSON ────▶ │ fd 3 ─▶ Handler, on the   │
//	│                          │ ◀─── JSON ───── │         main thread       │
//	├──────────────────────────┤                 └───────────────────────────┘
//	│ keeper: one locked       │   parent of,             ▲
//	│ thread per helper        │── death signal ──────────┘
//	└──────────────────────────┘   and wait(2)
//
// Both sides are the same binary, so a request is only a name and its arguments;
// the code that serves it is already there. A package that defines requests calls
// [Register] while it is initialised; main (or TestMain) calls [Main] first of all.
//
// # Three ways in
//
// New namespaces only (Config.Attr): one clone(2) by the os package.
//
// Somebody else's namespaces (Config.Join), a new time namespace, or another user
// (Config.As): these take an usher in between.
//
//	keeper ──fork──▶ usher: setns(pidfd, flags)     still one thread here
//	                   │    exec itself             many threads from here on
//	                   │    unshare(CLONE_NEWTIME), write timens_offsets
//	                   └──clone(CLONE_PARENT)──▶ helper   child of the keeper
//
// setns(2) happens between fork and exec, where the process has one thread
// still: that is how the user and time namespaces can be joined from Go. The pid
// namespace is joined only by children, and time offsets can be written only
// until the first process enters; hence the second step. CLONE_PARENT makes the
// helper a child of the caller, as if there had been no usher.
//
// A helper that joined a user namespace becomes uid 0 and gid 0 of it where these
// are mapped, as nsenter(1) does.
//
// # What holds
//
//   - A helper starts from the namespaces of the program, never from those that
//     the calling goroutine's thread may have moved into. Say so with Join.
//   - It never outlives its caller: the kernel kills it when the keeper thread
//     ends (PR_SET_PDEATHSIG), and it leaves by itself when its socket closes.
//   - It has a process group of its own, so Ctrl-C at the terminal does not reach it.
//   - A handler runs on the main thread, with tid equal to pid, so /proc/PID/ns
//     shows what it sees. A goroutine that it starts may run on another thread.
//   - A handler that executes another program in its place closes the socket; the
//     caller sees [ErrGone] with a nil State, and the process lives on under the handle.
//
// # What this is not
//
// Not a remote procedure call for strangers: both ends trust each other. Not an
// init: a helper that is pid 1 does not reap orphans, it takes them along when it ends.
//
// Further reading: clone(2), setns(2), pidfd_open(2), execveat(2), prctl(2),
// namespaces(7), time_namespaces(7), unix(7).
package inside
