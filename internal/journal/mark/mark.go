// Package mark names the environment variable by which the processes of a run
// are found, children of shell lines included: whoever starts a process hands it
// on, and package journal looks for it in /proc/PID/environ.
//
// It is a package of its own because the init stage of a container hands it on,
// too. That stage waits for the packages that it imports to be initialised, at
// every start of a container; the journal brings netlink, and that the net package.
package mark

// Variable holds the token of the run.
const Variable = "CUTAWAY_RUN"
