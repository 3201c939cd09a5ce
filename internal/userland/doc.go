// Package userland is the programs inside the built-in images that are not
// busybox's: small versions of the common Unix programs, a shell, a web server,
// and makers of load. All of them are this one static binary:
//
//	/bin/cutaway                      the binary
//	/bin/stress -> cutaway            argv[0] says which program to be
//	cutaway __userland stress ...     the same without a link
//
// Main has to be called at the start of main, and looks at argv only. Nothing
// here is computed at start: package initialization is paid by everything that
// cutaway does.
//
// # What this is not
//
// It is no busybox. Each program has the options that lessons and scripts use;
// names and meaning are POSIX's where it has them. Starting one costs the start of
// a Go program of some 20 MB, about 5 ms, where busybox takes 1 ms; and such a
// process has several threads, which a limit on pids counts. So images take
// busybox where the machine has it (see minicontainer/builtin) and this for the
// rest.
package userland
