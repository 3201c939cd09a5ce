package minicontainer

import "os"

// Request is what can be asked of a shim. One of the fields is set.
type Request struct {
	Attach *AttachRequest `json:",omitempty"`
	Exec   *ExecOptions   `json:",omitempty"`
	Size   *Size          `json:",omitempty"` // of the terminal of what was attached or executed by this line
	Wait   bool           `json:",omitempty"`
	// CallOff ends the waiting for a restart.
	CallOff bool `json:",omitempty"`
	// Names says that the container is on one more network.
	Names bool `json:",omitempty"`
	// Limits are the container's new ones.
	Limits *Resources `json:",omitempty"`
	// Files says which of the streams came with the message: some of "i", "o", "e".
	Files string `json:",omitempty"`
}

// AttachRequest joins the caller to the container's streams.
type AttachRequest struct {
	Start bool // the container is about to be started: first, then the program runs
}

// Size is a terminal's, in characters.
type Size struct{ Rows, Cols uint16 }

// Reply is what the shim says. First Started or Error, later Exited.
type Reply struct {
	Started bool   `json:",omitempty"`
	Exited  bool   `json:",omitempty"`
	Code    int    `json:",omitempty"`
	Pid     int    `json:",omitempty"`
	Error   string `json:",omitempty"`
	Broken  string `json:",omitempty"` // nobody reads the caller's "stdout" or "stderr" any more
}

// Streams are the caller's ends. nil is none. In should be a pipe of the
// caller's own making: the shim reads ahead of what the container wants.
type Streams struct{ In, Out, Err *os.File }

// files lists the streams that there are, with their letters.
func (s *Streams) files() (letters string, files []*os.File) {
	if s == nil {
		return "", nil
	}
	for i, f := range []*os.File{s.In, s.Out, s.Err} {
		if f != nil {
			letters += "ioe"[i : i+1]
			files = append(files, f)
		}
	}
	return letters, files
}

// StreamsFrom puts the files that came with a request where they belong.
func StreamsFrom(letters string, files []*os.File) Streams {
	var s Streams
	for i, f := range files {
		if i >= len(letters) {
			f.Close()
			continue
		}
		switch letters[i] {
		case 'i':
			s.In = f
		case 'o':
			s.Out = f
		case 'e':
			s.Err = f
		}
	}
	return s
}
