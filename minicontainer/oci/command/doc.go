// Package command is the runtime's command line, `cutaway oci`: runc's verbs with
// runc's options, so that Podman, containerd or Docker can be told to use it.
//
//	cutaway oci [options] VERB [options] [arguments]
//
//	spec                            config.json to begin with
//	run = create, start, delete     the life of a container; exec adds a process
//	state list ps events features   what there is, as JSON or as a table
//	kill pause resume update        what can be done to one
//
// Engines parse what they get back: the exit status, one line of log for a
// failure (log.go), and JSON.
//
// # Why it does not wait for main
//
// An engine calls its runtime four times for a container, and each call starts
// this program. Go initialises all its packages before main, in an order that is
// fixed: of those whose imports are ready, the first by name. Registries, FUSE,
// tables and labs take longer than most verbs. So this package begins in its own
// init, whose turn comes as soon as package oci is ready, and what comes later
// never comes. That is also why the options are read with package flag, as runc
// reads them, and not with pflag, which the rest of the program uses: that one
// imports net.
//
// # What this is not
//
// No checkpoint and restore, no cgroups made by systemd: the options are there,
// as callers give them, and say so.
//
// Sources: runc(8) and its pages for each verb, the runtime-spec's "Runtime and
// Lifecycle", and the go-runc library of containerd for what callers expect.
package command
