// Package minicontainer makes containers from images, with Docker's words for
// what can be done to them. It holds no mechanism of its own: it is the place
// where the ones of the other packages meet.
//
// # The story
//
// Docker is four programs in a row. Each exists because the one before it must
// be able to die:
//
//	client ──────▶ [daemon] ──────▶ shim ──────▶ runtime ──────▶ container
//	the command    answers on a     one for      makes the       the user's
//	line; gone     unix socket;     each         namespaces      program
//	after the      may be           container;   and limits,
//	answer         restarted        waits        then is gone
//
//	 names, flags   package api      package      package oci     pid 1 of its
//	 (cmd/cutaway)  (optional)       shim                         own world
//
// The client makes the container: a record on disk and two layers on top of the
// image (Create). To run it (Start), somebody has to stay: to hold the other
// end of its standard output, to be its parent and so learn its exit code, to
// restart it, and to take down its network and mounts. That is the shim, a
// small process of this same program. It is told everything by the record on
// disk, and tells everything by it, so neither the client nor a daemon is needed
// to find out what became of a container; a folder and the kernel are enough.
//
// So there is no daemon here unless one wants it. What Docker's keeps in memory
// is on disk under locks that die with their holder:
//
//	ROOT/containers/<id>/config.v2.json    what it is and how it is (record.go)
//	ROOT/containers/<id>/hostconfig.json   what it may have of the host
//	ROOT/containers/<id>/<id>-json.log     what it said
//	ROOT/containers/<id>/{hostname,hosts,resolv.conf}   mounted into it
//	ROOT/names/<name>                      a link to the id: the claim on a name
//	ROOT/networks/<name>.json              a network that was made by hand
//	ROOT/{image,overlay2,...}              package unionfs/image
//	RUN/oci/<id>/                          package oci
//	RUN/net/                               package netdemo
//	RUN/shim/<id>/{lock,socket}            the lock is held as long as the shim lives
//
// # What composes what
//
//	layers     unionfs/image   CreateRoot, MountRoot, Changes, Commit
//	volumes    volumedemo      see volumes.go
//	network    netdemo         Network.Connect, the proxy, the resolver
//	process    oci             Create, Start, Kill, Delete, Exec
//	config     bundle          record -> config.json (pure)
//	output     jsonlog         lines of the json-file log
//
// # Death at any time
//
// A record is replaced by rename(2) and never half-written. A container without
// a record is one whose maker died; whoever meets it takes it away. A record
// that says "running" without a shim that holds the lock, or with the boot id of
// another boot, is settled by whoever meets it: what is left of the container is
// killed and taken down, and the record says so (settle.go).
//
// # What this is not
//
// No swarm, no build, no plugins, no health checks, no log driver but json-file
// and none.
//
// Further reading: the Docker Engine API; containerd's runtime v2 (shim)
// documentation; prctl(2) PR_SET_CHILD_SUBREAPER; flock(2); unix(7) SCM_RIGHTS.
package minicontainer
