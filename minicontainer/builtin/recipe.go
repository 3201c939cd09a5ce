package builtin

import (
	"maps"
	"strings"
	"time"

	"cutaway/internal/userland/names"
	"cutaway/unionfs/image"
)

// recipe counts up when the images are made in another way, so that notes about
// older ones are not believed.
const recipe = 1

// moment is every time in the images. An image's id is the hash of its
// configuration, times included.
var moment = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// search is where programs are looked for in the images.
const search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// makeBox is the base tree, the programs, and a shell to run.
func makeBox(s *image.Store, from Sources) (*image.Image, error) {
	base, err := baseTree()
	if err != nil {
		return nil, err
	}
	p, err := programs(from)
	if err != nil {
		return nil, err
	}
	b := s.NewBuilder(nil, moment)
	b.AddFiles("ADD base file tree in /", base)
	b.AddFiles("ADD "+p.version+" in /bin", p.files)
	b.Empty("LABEL cutaway.image=box cutaway.programs="+p.kind, label(map[string]string{"cutaway.image": "box", "cutaway.programs": p.kind}))
	b.Empty("ENV "+search, func(c *image.Config) { c.Env = []string{search} })
	b.Empty("WORKDIR /", func(c *image.Config) { c.WorkingDir = "/" })
	b.Empty(`CMD ["sh"]`, func(c *image.Config) { c.Cmd = []string{"sh"} })
	return b.Commit()
}

// makeWeb is box with a page, served on port 80.
func makeWeb(s *image.Store, box *image.Image) (*image.Image, error) {
	page, err := embedded("image/web")
	if err != nil {
		return nil, err
	}
	cmd := []string{"httpd", "-f", "-v", "-p", "80", "-h", "/www"}
	b := s.NewBuilder(box, moment)
	b.AddFiles("ADD page in /www", page)
	b.Empty("LABEL cutaway.image=web", label(map[string]string{"cutaway.image": "web"}))
	b.Empty("WORKDIR /www", func(c *image.Config) { c.WorkingDir = "/www" })
	b.Empty("EXPOSE 80/tcp", func(c *image.Config) { c.ExposedPorts = map[string]struct{}{"80/tcp": {}} })
	// Process 1 of a PID namespace only gets signals that it has a handler for.
	// busybox's httpd has none for SIGTERM: `stop` would wait its ten seconds.
	b.Empty("STOPSIGNAL SIGKILL", func(c *image.Config) { c.StopSignal = "SIGKILL" })
	b.Empty(`CMD ["`+strings.Join(cmd, `" "`)+`"]`, func(c *image.Config) { c.Cmd = cmd })
	return b.Commit()
}

// makeStress is box with the makers of load, which busybox has not.
func makeStress(s *image.Store, box *image.Image, from Sources) (*image.Image, error) {
	b := s.NewBuilder(box, moment)
	if from.BusyBox != "" {
		bb, err := askBusyBox(from.BusyBox)
		if err != nil {
			return nil, err
		}
		files, err := multiCall(from.Self, "bin/cutaway", applets(names.Images(), bb.names))
		if err != nil {
			return nil, err
		}
		b.AddFiles("ADD cutaway's applets in /bin", files)
	}
	b.Empty("LABEL cutaway.image=stress", label(map[string]string{"cutaway.image": "stress"}))
	b.Empty(`ENTRYPOINT ["stress"]`, func(c *image.Config) { c.Entrypoint, c.Cmd = []string{"stress"}, nil })
	b.Empty(`CMD ["--help"]`, func(c *image.Config) { c.Cmd = []string{"--help"} })
	return b.Commit()
}

// label adds labels to those of the image below, whose map is not touched.
func label(add map[string]string) func(*image.Config) {
	return func(c *image.Config) {
		labels := maps.Clone(c.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, add)
		c.Labels = labels
	}
}

// program is what the programs layer of box is made of.
type program struct {
	kind    string // the label: "busybox" or "cutaway"
	version string // for the history
	files   []image.File
}

func programs(from Sources) (program, error) {
	if from.BusyBox == "" {
		files, err := multiCall(from.Self, "bin/cutaway", applets(names.Images(), nil))
		return program{"cutaway", "cutaway (applets; its shell has no subshell processes)", files}, err
	}
	bb, err := askBusyBox(from.BusyBox)
	if err != nil {
		return program{}, err
	}
	files, err := multiCall(from.BusyBox, "bin/busybox", bb.names)
	return program{"busybox", bb.version, files}, err
}
