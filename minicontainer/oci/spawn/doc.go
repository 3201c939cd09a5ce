// Package spawn starts this program again inside other namespaces.
//
// A Go program has several threads from its first instruction on, and the
// kernel asks for a single one where it matters most: setns(2) into a user
// namespace and unshare(2) of one answer EINVAL otherwise. What is single
// threaded is a child between fork and exec. So everything that has to happen
// there happens there, in one function of bare system calls:
//
//	caller                      stage one (joins only)      stage two
//	  | fork ------------------> setns each given fd
//	  |                          unshare the time namespace
//	  |  <------- its pid -----  clone(CLONE_PARENT|new) ---> wait for id maps
//	  | write uid_map, gid_map ------------------------------> become root inside
//	  |                          exit                          stdio, execveat
//	  |  <------------------------- errno, or end of file when the exec worked
//
// Stage one exists only where something has to be joined: a pid namespace is
// entered by the next child, never by the caller itself, and so is a time
// namespace. Without joins the first clone already makes every new namespace.
// Or where the process is to be nobody's child: it loses its parent with stage one.
//
// Between fork and exec the child has the memory of a Go program but none of
// its threads: a lock that another thread held stays locked for ever. The child
// therefore allocates nothing, grows no stack and calls nothing but RawSyscall.
// Where nothing is joined and no ids are mapped it has not even a copy of the
// memory, but the caller's own (CLONE_VM, CLONE_VFORK in clone(2)), and so has
// the process that an orphan's stage one makes.
//
// What this is not: a general process starter. os/exec does that.
//
// See clone(2), clone3(2), setns(2), unshare(2), execveat(2),
// user_namespaces(7), pid_namespaces(7), time_namespaces(7).
package spawn
