package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"

	"cutaway/minicontainer"
)

// start starts a container; with streams asked for, it stays joined to them.
func (s *Server) start(w http.ResponseWriter, r *http.Request, ref string) error {
	want := wanted(r)
	if want == (wants{}) {
		p, err := s.engine.Start(ref, nil)
		if p != nil {
			p.Close()
		}
		return done(w, err)
	}
	return s.join(w, r, want, func(streams *minicontainer.Streams) (Process, error) { return s.engine.Start(ref, streams) })
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request, ref string) error {
	return s.join(w, r, wanted(r), func(streams *minicontainer.Streams) (Process, error) { return s.engine.Attach(ref, streams) })
}

func (s *Server) exec(w http.ResponseWriter, r *http.Request, ref string) error {
	o, err := body[execRequest](r)
	if err != nil {
		return err
	}
	if o.Detach {
		p, err := s.engine.Exec(ref, o.ExecOptions, nil)
		if p != nil {
			p.Close()
		}
		return done(w, err)
	}
	return s.join(w, r, wants{o.In, o.Out, o.Err}, func(streams *minicontainer.Streams) (Process, error) {
		return s.engine.Exec(ref, o.ExecOptions, streams)
	})
}

// wants says which streams the client has.
type wants struct{ in, out, err bool }

func wanted(r *http.Request) wants {
	is := func(name string) bool { return r.FormValue(name) == "true" }
	return wants{is("in"), is("out"), is("err")}
}

// joined are the pipes between the daemon and a shim.
type joined struct {
	theirs minicontainer.Streams // the shim's ends
	in     *os.File              // our ends
	outs   [3]*os.File
}

func (w wants) pipes() (*joined, error) {
	j := &joined{}
	var err error
	if w.in {
		j.theirs.In, j.in, err = os.Pipe()
	}
	if err == nil && w.out {
		j.outs[1], j.theirs.Out, err = os.Pipe()
	}
	if err == nil && w.err {
		j.outs[2], j.theirs.Err, err = os.Pipe()
	}
	if err != nil {
		j.closeTheirs()
		j.closeOurs()
	}
	return j, err
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

func (j *joined) closeTheirs() { closeAll(j.theirs.In, j.theirs.Out, j.theirs.Err) }

func (j *joined) closeOurs() { closeAll(j.in, j.outs[1], j.outs[2]) }

// join starts something with pipes and carries them over the connection, which
// from the first success on is no HTTP any more.
func (s *Server) join(w http.ResponseWriter, r *http.Request, want wants, begin func(*minicontainer.Streams) (Process, error)) error {
	// What is left of the request would be taken for frames.
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	j, err := want.pipes()
	if err != nil {
		return err
	}
	p, err := begin(&j.theirs)
	j.closeTheirs()
	if err != nil {
		j.closeOurs()
		return err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		j.closeOurs()
		return err
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	f := &frames{r: buffered, w: conn}
	end := ending{}
	if p != nil {
		end = carry(f, j, p)
	}
	f.writeJSON(frameEnd, end)
	return nil
}

// carry copies both ways until the process has ended, or the client has gone.
func carry(f *frames, j *joined, p Process) ending {
	var outs sync.WaitGroup
	for kind, file := range j.outs {
		if file == nil {
			continue
		}
		outs.Add(1)
		go func() {
			defer outs.Done()
			f.copyAs(byte(kind), file)
			file.Close()
		}()
	}
	go func() {
		hear(f, j, p)
		p.Close() // the client is gone: detached
	}()
	code, err := p.Wait()
	outs.Wait()
	end := ending{Code: code}
	if err != nil {
		end.Error = err.Error()
	}
	return end
}

// hear takes what the client sends: input, its end, sizes.
func hear(f *frames, j *joined, p Process) {
	defer func() { closeAll(j.in) }()
	for {
		kind, content, err := f.read()
		if err != nil {
			return
		}
		switch {
		case kind == frameIn && len(content) == 0:
			closeAll(j.in)
			j.in = nil
		case kind == frameIn && j.in != nil:
			j.in.Write(content)
		case kind == frameSize:
			var size minicontainer.Size
			if json.Unmarshal(content, &size) == nil {
				p.Resize(size)
			}
		}
	}
}

// flushing sends each write on at once: a log is followed as it grows.
type flushing struct {
	io.Writer
	control *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.control.Flush())
}

// frameWriter writes as frames of one kind.
type frameWriter struct {
	f    *frames
	kind byte
}

func (w frameWriter) Write(p []byte) (int, error) { return len(p), w.f.write(w.kind, p) }
