//go:build !amd64

package script

// Available says that the program exists for this processor.
const Available = false

const machine = 0

// program is not there: who asked Available first never comes here.
func program() []byte { panic("script: no program for this processor") }
