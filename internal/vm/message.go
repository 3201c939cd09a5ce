package vm

// hello is what the agent says first.
type hello struct {
	Release string  // uname -r
	Uptime  float64 // seconds since the kernel began, when the agent was ready
}

// wake tells a guest that was kept what has changed since.
type wake struct {
	Now  int64  // the time, Unix nanoseconds
	Seed []byte // randomness of its own: all guests of one file know the same
}

// request opens a stream: run a program, move one file, or wait until all is quiet.
type request struct {
	Do         string // "run", "put", "get" or "settle"
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
