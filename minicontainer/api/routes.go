package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"golang.org/x/sys/unix"

	"cutaway/minicontainer"
	"cutaway/netdemo"
)

type answer = func(http.ResponseWriter, *http.Request) error

// The bodies of requests and answers that are more than one thing.
type (
	killRequest   struct{ Signal int }
	renameRequest struct{ Name string }
	updateRequest struct {
		Resources minicontainer.Resources
		Policy    *minicontainer.RestartPolicy
	}
	waited struct{ StatusCode int }
	pruned struct {
		ContainersDeleted []string
		SpaceReclaimed    int64
	}
	sizes     struct{ Written, Whole int64 }
	topAnswer struct {
		Titles    []string
		Processes [][]string
	}
	networkRequest struct {
		Spec   netdemo.NetworkSpec
		Labels map[string]string
	}
	memberRequest struct {
		Container string
		Settings  minicontainer.EndpointSettings
	}
	execRequest struct {
		minicontainer.ExecOptions
		In, Out, Err bool
	}
)

// routes are all requests there are.
func (s *Server) routes() map[string]answer {
	e := s.engine
	all := map[string]answer{
		"GET /_ping": func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("OK")); return err },

		"POST /images/create": s.pull,

		"POST /containers/create": func(w http.ResponseWriter, r *http.Request) error {
			o, err := body[minicontainer.Options](r)
			if err != nil {
				return err
			}
			c, err := e.Create(o)
			return send(w, c, err)
		},
		"POST /containers/json": func(w http.ResponseWriter, r *http.Request) error {
			o, err := body[minicontainer.ListOptions](r)
			if err != nil {
				return err
			}
			list, err := e.List(o)
			records := []record{}
			for _, c := range list {
				records = append(records, withHost(c))
			}
			return send(w, records, err)
		},
		"POST /containers/prune": func(w http.ResponseWriter, r *http.Request) error {
			filters, err := body[map[string][]string](r)
			if err != nil {
				return err
			}
			ids, bytes, err := e.Prune(filters)
			return send(w, pruned{ids, bytes}, err)
		},
		"POST /networks/create": func(w http.ResponseWriter, r *http.Request) error {
			n, err := body[networkRequest](r)
			if err != nil {
				return err
			}
			record, err := e.CreateNetwork(n.Spec, n.Labels)
			return send(w, record, err)
		},
		"GET /networks": func(w http.ResponseWriter, _ *http.Request) error {
			list, err := e.ListNetworks()
			return send(w, list, err)
		},
		"POST /networks/prune": func(w http.ResponseWriter, _ *http.Request) error {
			gone, err := e.PruneNetworks()
			return send(w, gone, err)
		},
	}
	for pattern, do := range s.containerRoutes() {
		all[pattern] = func(w http.ResponseWriter, r *http.Request) error { return do(w, r, r.PathValue("ref")) }
	}
	return all
}

type refAnswer = func(w http.ResponseWriter, r *http.Request, ref string) error

// containerRoutes are those about one container or network, {ref}.
func (s *Server) containerRoutes() map[string]refAnswer {
	e := s.engine
	return map[string]refAnswer{
		"GET /containers/{ref}/record": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			c, err := e.Inspect(ref)
			return send(w, withHost(c), err)
		},
		"GET /containers/{ref}/json": func(w http.ResponseWriter, r *http.Request, ref string) error {
			d, err := e.Details(ref, r.FormValue("size") == "true")
			return send(w, d, err)
		},
		"GET /containers/{ref}/sizes": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			written, whole, err := e.Sizes(ref)
			return send(w, sizes{written, whole}, err)
		},
		"GET /containers/{ref}/top": func(w http.ResponseWriter, r *http.Request, ref string) error {
			r.ParseForm()
			titles, rows, err := e.Top(ref, r.Form["arg"])
			return send(w, topAnswer{titles, rows}, err)
		},
		"GET /containers/{ref}/stats": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			v, err := e.Stats(ref)
			return send(w, v, err)
		},
		"GET /containers/{ref}/ports": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			v, err := e.Ports(ref)
			return send(w, v, err)
		},
		"GET /containers/{ref}/changes": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			v, err := e.Diff(ref)
			return send(w, v, err)
		},
		"POST /containers/{ref}/wait": func(w http.ResponseWriter, r *http.Request, ref string) error {
			code, err := e.Wait(r.Context(), ref)
			return send(w, waited{code}, err)
		},
		"POST /containers/{ref}/stop": func(w http.ResponseWriter, r *http.Request, ref string) error {
			return done(w, e.Stop(ref, seconds(r)))
		},
		"POST /containers/{ref}/restart": func(w http.ResponseWriter, r *http.Request, ref string) error {
			return done(w, e.Restart(ref, seconds(r)))
		},
		"POST /containers/{ref}/pause":   func(w http.ResponseWriter, _ *http.Request, ref string) error { return done(w, e.Pause(ref)) },
		"POST /containers/{ref}/unpause": func(w http.ResponseWriter, _ *http.Request, ref string) error { return done(w, e.Unpause(ref)) },
		"POST /containers/{ref}/kill": func(w http.ResponseWriter, r *http.Request, ref string) error {
			k, err := body[killRequest](r)
			if err != nil {
				return err
			}
			return done(w, e.Kill(ref, unix.Signal(k.Signal)))
		},
		"POST /containers/{ref}/rename": func(w http.ResponseWriter, r *http.Request, ref string) error {
			n, err := body[renameRequest](r)
			if err != nil {
				return err
			}
			return done(w, e.Rename(ref, n.Name))
		},
		"POST /containers/{ref}/update": func(w http.ResponseWriter, r *http.Request, ref string) error {
			u, err := body[updateRequest](r)
			if err != nil {
				return err
			}
			return done(w, e.Update(ref, u.Resources, u.Policy))
		},
		"DELETE /containers/{ref}": func(w http.ResponseWriter, r *http.Request, ref string) error {
			return done(w, e.Remove(ref, minicontainer.RemoveOptions{Force: r.FormValue("force") == "true", Volumes: r.FormValue("v") == "true"}))
		},
		"POST /containers/{ref}/commit": func(w http.ResponseWriter, r *http.Request, ref string) error {
			o, err := body[minicontainer.CommitOptions](r)
			if err != nil {
				return err
			}
			id, err := e.CommitID(ref, o)
			return send(w, map[string]string{"Id": id}, err)
		},
		"GET /containers/{ref}/logs":   s.logs,
		"GET /containers/{ref}/export": func(w http.ResponseWriter, _ *http.Request, ref string) error { return e.Export(ref, w) },
		"GET /containers/{ref}/archive": func(w http.ResponseWriter, r *http.Request, ref string) error {
			return e.CopyFrom(ref, r.FormValue("path"), w)
		},
		"PUT /containers/{ref}/archive": func(w http.ResponseWriter, r *http.Request, ref string) error {
			return done(w, e.CopyTo(ref, r.FormValue("path"), r.Body))
		},
		"GET /containers/{ref}/stat": func(w http.ResponseWriter, r *http.Request, ref string) error {
			st, err := e.StatPath(ref, r.FormValue("path"))
			return send(w, st, err)
		},
		"POST /containers/{ref}/start":  s.start,
		"POST /containers/{ref}/attach": s.attach,
		"POST /containers/{ref}/exec":   s.exec,

		"GET /networks/{ref}": func(w http.ResponseWriter, _ *http.Request, ref string) error {
			n, err := e.InspectNetwork(ref)
			return send(w, n, err)
		},
		"DELETE /networks/{ref}": func(w http.ResponseWriter, _ *http.Request, ref string) error { return done(w, e.RemoveNetwork(ref)) },
		"POST /networks/{ref}/connect": func(w http.ResponseWriter, r *http.Request, ref string) error {
			m, err := body[memberRequest](r)
			if err != nil {
				return err
			}
			return done(w, e.ConnectNetwork(ref, m.Container, m.Settings))
		},
		"POST /networks/{ref}/disconnect": func(w http.ResponseWriter, r *http.Request, ref string) error {
			m, err := body[memberRequest](r)
			if err != nil {
				return err
			}
			return done(w, e.DisconnectNetwork(ref, m.Container))
		},
	}
}

// record is a container with its host configuration, which on disk has a file of
// its own.
type record struct {
	*minicontainer.Container
	Host minicontainer.HostConfig
}

func withHost(c *minicontainer.Container) record {
	if c == nil {
		return record{}
	}
	return record{c, c.HostConfig}
}

func (r record) whole() *minicontainer.Container {
	r.Container.HostConfig = r.Host
	return r.Container
}

func seconds(r *http.Request) *int {
	n, err := strconv.Atoi(r.FormValue("t"))
	if err != nil {
		return nil
	}
	return &n
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request, ref string) error {
	var o minicontainer.LogOptions
	if err := json.Unmarshal([]byte(r.FormValue("options")), &o); err != nil {
		return &minicontainer.Invalid{Reason: "options: " + err.Error()}
	}
	if _, err := s.engine.Inspect(ref); err != nil { // while an error can still be said
		return err
	}
	f := &frames{w: flushing{w, http.NewResponseController(w)}}
	err := s.engine.Logs(r.Context(), ref, o, frameWriter{f, frameOut}, frameWriter{f, frameErr})
	end := ending{}
	if err != nil {
		end.Error = err.Error()
	}
	f.writeJSON(frameEnd, end)
	return nil
}
