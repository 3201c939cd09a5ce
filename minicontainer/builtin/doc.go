// Package builtin makes three images without a network, out of what is on the
// machine, so that every lesson about images and containers can begin at once.
//
//	box      a shell and the common programs          CMD sh
//	  base tree | programs
//	web      box and a small web server with a page   CMD httpd ..., EXPOSE 80
//	  base tree | programs | page
//	stress   box and makers of load                   ENTRYPOINT stress
//	  base tree | programs | applets
//
// They share the lower layers, which is what layers are for.
//
// # Where the programs come from
//
// Where the machine has a statically linked busybox (Debian: busybox-static), it
// is the programs layer: a true POSIX shell with jobs, traps and subshells that
// are processes. Then only the layer of stress holds this program itself, for
// what busybox has not (internal/userland).
//
// Without one, the programs layer is this very program under many names. Its
// shell interprets in one process: subshells, pipes and background jobs are
// threads of it, and only the programs it runs are processes. The label
// cutaway.programs says which of the two an image has.
//
// busybox runs its own programs from within its shell without looking at PATH, by
// executing /proc/self/exe: there `ps -o comm` may say "exe", and /proc has to be
// mounted. A whole path, such as /bin/ls, goes the usual way.
//
// # Reproducible, and made once
//
// Every time in the images is one fixed moment, files come in one fixed order;
// so the same busybox gives the same ids on every machine. What an image was made
// from is noted beside the store (<root>/builtin/<driver>.json) as path, size
// and times of the programs: looking whether it is still so costs two stat(2)
// and no hashing.
package builtin
