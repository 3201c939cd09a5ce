package vm

// hello is what the agent says first.
type hello struct {
	Release string  // uname -r
	Uptime  float64 // seconds since the kernel began, when the agent was ready
}

// request opens a stream: run a program, or move one file.
type request struct {
	Do         string // "run", "put" or "get"
	Args       []string
	Env        []string
	Dir        string
	UID, GID   uint32
	TTY        bool
	Rows, Cols uint16
	Path       string // for put and get
	Mode       uint32 // for put
}

// outcome ends a stream.
type outcome struct {
	Exit   int    // as a shell would say it: 128+N after signal N
	Failed string // why the task could not be started or done; "" if it was
	Lost   error  `json:"-"` // host: the line died first
}
