package walk

import "slices"

// summary counts what was performed.
type summary struct {
	event      SummaryEvent
	all        []string
	reproduced map[string]bool
}

// newSummary counts against the ids of the known experiments.
func newSummary(experiments []string) *summary {
	return &summary{all: experiments, reproduced: map[string]bool{}}
}

// step counts a step. Its experiments are reproduced only when it passed.
func (s *summary) step(e StepEvent) {
	if e.State == Start {
		return
	}
	s.event.Steps.Add(e.State)
	if e.State == Pass {
		for _, id := range e.Reproduces {
			s.reproduced[id] = true
		}
	}
}

func (s *summary) lab(e LabEvent) {
	s.event.Labs.Add(e.State)
	s.event.Residue = append(s.event.Residue, e.Residue...)
}

func (s *summary) close() SummaryEvent {
	s.event.Experiments = Experiments{Of: len(s.all), Missing: []string{}}
	for _, id := range s.all {
		if s.reproduced[id] {
			s.event.Experiments.Reproduced++
		} else {
			s.event.Experiments.Missing = append(s.event.Experiments.Missing, id)
		}
	}
	if s.event.Residue == nil {
		s.event.Residue = []string{}
	}
	slices.Sort(s.event.Residue)
	return s.event
}
