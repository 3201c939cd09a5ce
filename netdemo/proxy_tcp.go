package netdemo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxConnections bounds the proxy's memory: a connection costs two descriptors and two
	// goroutines. Beyond it, new ones wait in the kernel's queue.
	maxConnections = 8192
	// firstTalk is copied by read and write; only what goes on after that is spliced. Splicing needs
	// a pipe per direction, which costs a short request more than it saves.
	firstTalk = 64 << 10
)

// ServeTCP accepts connections and copies each to target, until ctx is done.
func ServeTCP(ctx context.Context, l *net.TCPListener, target netip.AddrPort) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	slots := make(chan struct{}, maxConnections)
	for {
		slots <- struct{}{}
		client, err := l.AcceptTCP()
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			<-slots
			// Out of descriptors, or the client went away while it waited: the next may do.
			time.Sleep(5 * time.Millisecond)
			continue
		}
		go func() {
			defer func() { <-slots }()
			copyBoth(client, target)
		}()
	}
}

// copyBoth ends when both directions have ended. One that ends early is only half closed: a client
// that has sent its request and shut its side down still gets the answer.
func copyBoth(client *net.TCPConn, target netip.AddrPort) {
	defer client.Close()
	// No keep-alive towards the container: it is as near as the kernel, and the client's side has it.
	dialer := net.Dialer{KeepAlive: -1}
	backend, err := dialer.DialTCP(context.Background(), "tcp", netip.AddrPort{}, target)
	if err != nil {
		// The client must see a refusal, not an empty answer: with linger 0, close sends a reset.
		client.SetLinger(0)
		return
	}
	defer backend.Close()
	var answer sync.WaitGroup
	answer.Go(func() { copyOne(client, backend) })
	copyOne(backend, client)
	answer.Wait()
}

// buffers are shared by all connections, so that memory follows what is being copied now.
var buffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// copyOne copies until src ends, then ends dst. After a failed write nobody will read what src
// still sends, so src is told to stop.
func copyOne(dst, src *net.TCPConn) {
	ended, err := copyTalk(dst, src)
	if err == nil && !ended {
		// io.Copy between two TCP sockets is splice(2): the bytes stay in the kernel.
		_, err = io.Copy(dst, src)
	}
	if err != nil {
		src.CloseRead()
	}
	dst.CloseWrite()
}

// copyTalk copies the first part. The buffer is taken only when there is something to read, so a
// connection that is idle holds none.
func copyTalk(dst, src *net.TCPConn) (ended bool, err error) {
	raw, err := src.SyscallConn()
	if err != nil {
		return false, err
	}
	for total := 0; total < firstTalk; {
		n, err := readPooled(raw, func(b []byte) error {
			_, err := dst.Write(b)
			return err
		})
		if err != nil {
			return true, noEOF(err)
		}
		total += n
	}
	return false, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readPooled waits until raw has something, reads it into a pooled buffer and hands that to use.
func readPooled(raw syscall.RawConn, use func([]byte) error) (n int, err error) {
	var buf *[]byte
	waitErr := raw.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[]byte)
		for {
			if n, err = unix.Read(int(fd), *buf); err != unix.EINTR {
				break
			}
		}
		if err == unix.EAGAIN {
			buffers.Put(buf)
			buf = nil
			return false // the runtime waits with epoll and calls again
		}
		return true
	})
	if buf == nil {
		return 0, errors.Join(waitErr, io.EOF)
	}
	defer buffers.Put(buf)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err == nil {
		err = use((*buf)[:n])
	}
	return n, err
}

// setOption makes a net.ListenConfig.Control of a function that sets socket options.
func setOption(set func(fd int) error) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		var err error
		return errors.Join(raw.Control(func(fd uintptr) { err = set(int(fd)) }), err)
	}
}
