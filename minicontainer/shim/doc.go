// Package shim is the process that stays with a container as long as it runs.
//
// # The story
//
// A process's parent learns how it ended, and a pipe needs somebody at its other
// end. If that were the client, closing the terminal would end the container; if
// it were the daemon, updating the daemon would end all of them. So each
// container gets a process of its own that does nothing else:
//
//	             ┌──────────────────────── shim ───────────────────────┐
//	attach ────▶ │ socket    output ──▶ log, every client's own file    │
//	exec ──────▶ │           input  ◀── the attached client             │
//	wait ──────▶ │           reaper ◀── exit codes of its children      │
//	             └──────────┬────────────────────┬─────────────────────┘
//	                        │ pipes or a terminal│ parent of
//	                   container's program   exec'd programs, proxies, orphans
//
// It starts a life of the container (life.go: a list of steps), waits, takes
// everything down again, writes the exit code into the record, and then the
// restart policy says whether there is another life.
//
// # What makes it outlive its parent
//
// setsid(2): its terminal's Ctrl-C and hang-up go to another session. It is born
// an orphan (package spawn): its parent is process 1, never a daemon or a client.
// It is born early (package launch), while its container is still being made, and
// waits to be told where its engine is, and then for the request to start it. Its
// standard files are /dev/null, and nothing else that its caller had is open. It is
// a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so that what the container leaves
// without a parent is reaped here. And it is known by a lock on a file, not by a pid.
//
// What this is not: a supervisor of several containers, as containerd's shim
// may be; nothing is shared, so nothing can be lost for the others.
package shim
