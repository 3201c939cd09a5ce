package labs

import (
	"strings"

	"cutaway/assets"
)

// Experiment is one experiment that the labs are to reproduce.
type Experiment struct {
	ID    string `json:"id"`
	Lab   string `json:"lab"`
	Group string `json:"group"`
	Do    string `json:"do"`
}

// Experiments are all of them, from assets/experiments.txt.
func Experiments() []Experiment {
	text, err := assets.Files.ReadFile("experiments.txt")
	if err != nil {
		panic(err) // embedded in the binary
	}
	var all []Experiment
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) == 4 {
			all = append(all, Experiment{fields[0], fields[1], fields[2], fields[3]})
		}
	}
	return all
}

// ExperimentIDs are the ids of all experiments.
func ExperimentIDs() []string {
	var ids []string
	for _, e := range Experiments() {
		ids = append(ids, e.ID)
	}
	return ids
}

// Covered is an experiment with the lab steps that reproduce it.
type Covered struct {
	Experiment
	Steps []string `json:"steps"`
}

// Cover compares the experiments with the labs.
func Cover() []Covered {
	steps := map[string][]string{}
	for _, l := range All() {
		for _, s := range l.Steps {
			for _, id := range s.Reproduces {
				steps[id] = append(steps[id], l.ID+" "+s.Name)
			}
		}
	}
	var all []Covered
	for _, e := range Experiments() {
		all = append(all, Covered{e, steps[e.ID]})
	}
	return all
}
