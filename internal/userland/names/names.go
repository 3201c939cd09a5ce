// Package names lists the programs of package userland. It is apart from them
// because who makes an image needs no more, and the programs, a shell and a web
// server among them, bring along what no container's start should wait for.
package names

// Images lists the applets that are programs in an image, sorted.
func Images() []string { return list[:] }

var list = [...]string{
	"[", "cat", "chmod", "chown", "cp", "cut", "date", "df", "du", "echo", "env", "false", "find",
	"grep", "head", "hostname", "httpd", "id", "ip", "kill", "ln", "ls", "mkdir", "mktemp", "mount",
	"mv", "nc", "nproc", "printf", "ps", "pwd", "readlink", "rm", "rmdir", "seq", "sh", "sha256sum",
	"sleep", "sort", "stat", "stress", "sync", "tail", "tar", "tee", "test", "touch", "tr", "true",
	"umount", "uname", "uniq", "wc", "wget", "whoami", "yes",
}
