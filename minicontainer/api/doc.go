// Package api is the engine behind a socket: the daemon, and the client that
// speaks to it. Nothing but convenience depends on it: it knows nothing that is
// not on disk, no container is its child for longer than it lives, and its death
// is noticed by its clients only.
//
//	cutaway --host unix:///run/cutaway/api.sock ps
//	     │
//	     │  GET /v1.41/containers/json            HTTP over a unix socket, JSON,
//	     ▼                                        paths as in Docker's API
//	   daemon ── minicontainer.Engine ──▶ the same folders, the same shims
//
// Commands that have streams (attach, exec, start) ask for an upgrade of the
// connection; from then on it carries frames, as Docker's does:
//
//	[ kind, 0, 0, 0, length (4 bytes, big end first) ] [ content ]
//
//	kind 0 input, 1 output, 2 error output, 3 how it ended (JSON), 4 size (JSON)
//
// The paths and the shapes of what is asked are near Docker's, so that its API's
// documentation explains them; a client of Docker's itself is not the aim.
//
// What this is not: TLS, TCP, authentication. Who may open the socket is root.
//
// Further reading: the Docker Engine API v1.41; unix(7); RFC 9110, "Upgrade".
package api
