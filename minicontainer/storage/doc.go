// Package storage opens the image store of a state root, with the layer driver
// that the machine can have. It is the one place where that is decided, for the
// commands and for the mini-container alike.
//
//	--storage-driver NAME     that driver, or an error that says why not
//	(none)                    the driver that this root was used with before;
//	                          else overlay2, if a mount of it works here;
//	                          else vfs, which needs nothing from the kernel
//
// Looking at what is there comes first, as in Docker: images belong to a driver,
// and under another one they would seem to be gone.
package storage
