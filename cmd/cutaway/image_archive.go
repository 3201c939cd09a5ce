package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cutaway/unionfs/image"
)

func (p *program) imageSave() *cobra.Command {
	var output, format string
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "save [OPTIONS] IMAGE [IMAGE...]",
		Short: "Save one or more images to a tar archive (streamed to STDOUT by default)",
		Args:  atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if output == "" && isTerminal(p.out) {
				return errors.New("cowardly refusing to save to a terminal. Use the -o flag or redirect")
			}
			return p.withStore(func(s *image.Store) error {
				return p.toFile(output, func(w io.Writer) error { return saveImages(s, w, args, format) })
			})
		},
	})
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to a file, instead of STDOUT")
	cmd.Flags().StringVar(&format, "format", "docker-archive", "docker-archive or oci-archive")
	return cmd
}

func saveImages(s *image.Store, w io.Writer, names []string, format string) error {
	write := s.Save
	switch format {
	case "docker-archive":
	case "oci-archive":
		write = s.SaveLayout
	default:
		return fmt.Errorf("unknown format %q: want docker-archive or oci-archive", format)
	}
	for _, name := range names {
		if _, err := findImage(s, name); err != nil {
			return err
		}
	}
	wanted, err := s.Select(names)
	if err != nil {
		return err
	}
	return write(w, wanted)
}

// toFile writes a file beside its name and renames it when it is whole: a save
// that fails leaves an older archive as it was. Without a name it is stdout.
func (p *program) toFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return write(p.out)
	}
	if fi, err := os.Stat(name); err == nil && !fi.Mode().IsRegular() { // /dev/null, a pipe
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".cutaway-save-")
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func (p *program) imageLoad() *cobra.Command {
	var input string
	var quiet bool
	cmd := p.dockerCommand(&cobra.Command{
		Use:   "load [OPTIONS]",
		Short: "Load an image from a tar archive or STDIN",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if input == "" && isTerminal(p.in) {
				return errors.New("requested load from stdin, but stdin is empty")
			}
			return p.withInput(cmd.Context(), input, func(r io.Reader) error {
				return p.withStore(func(s *image.Store) error { return p.load(s, r) })
			})
		},
	})
	cmd.Flags().StringVarP(&input, "input", "i", "", "read from a tar archive file, instead of STDIN")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "suppress the load output (there is no progress to suppress)")
	return cmd
}

func (p *program) load(s *image.Store, r io.Reader) error {
	loaded, err := s.Load(r)
	for _, l := range loaded {
		if len(l.Names) == 0 {
			fmt.Fprintln(p.out, "Loaded image ID:", l.Image.ImageID)
		}
		for _, ref := range l.Names {
			fmt.Fprintln(p.out, "Loaded image:", ref.Name())
		}
	}
	return err
}

// withInput opens a file, a page of the web, or stdin for "" and "-". The reading
// ends with an error when a signal comes, so that what was taken in is taken back.
func (p *program) withInput(ctx context.Context, name string, do func(io.Reader) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	in, err := p.open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	return interrupted(ctx, do(untilDone{ctx, in}))
}

func (p *program) open(ctx context.Context, name string) (io.ReadCloser, error) {
	switch {
	case name == "" || name == "-":
		return p.in, nil
	case !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://"):
		return os.Open(name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("%s: the server answers %s", name, answer.Status)
	}
	return answer.Body, nil
}

// untilDone is a reader that fails once ctx is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}
