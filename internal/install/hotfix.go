package install

import (
	"slices"
	"strings"

	"uplevel/internal/digest"
	"uplevel/internal/hotfix"
	"uplevel/internal/plan"
	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// hotfixes keeps the records of the hotfixes on the level gone to, and notes what they
// name: as long as they are applied, what they put there is the base of every comparison.
func (s *stager) hotfixes() error {
	for _, data := range s.extra.Hotfixes {
		ref, err := s.home.keepBytes(s.out, data)
		if err != nil {
			return err
		}
		named, err := sumsOfHotfix(ref, data)
		if err != nil {
			return err
		}
		s.out.Used = append(s.out.Used, named...)
	}
	return nil
}

// hotfixSums returns the digests of a hotfix's record in the store and of what it names.
func (h *Home) hotfixSums(ref release.Ref) ([]digest.Digest, error) {
	data, err := h.objectBytes(ref, hotfix.MaxBytes)
	if err != nil {
		return nil, err
	}
	return sumsOfHotfix(ref, data)
}

// keptOf returns the same for a hotfix of the history. Its contents come from no service:
// what an edited file is merged with after going back is here or nowhere. A record that
// cannot be read any more tells nothing but itself.
func (h *Home) keptOf(ref release.Ref) []digest.Digest {
	sums, err := h.hotfixSums(ref)
	if err != nil {
		return []digest.Digest{ref.Sum}
	}
	return sums
}

func sumsOfHotfix(ref release.Ref, data []byte) ([]digest.Digest, error) {
	record, err := hotfix.Parse(data)
	if err != nil {
		return nil, err
	}
	sums := []digest.Digest{ref.Sum}
	want, base := record.Contents()
	for _, named := range append(want, base...) {
		sums = append(sums, named.Sum)
	}
	return sums, nil
}

// nameOfAnother reads how another tool names a hotfix: ORG-hf1, 7.1.0.2-ORG-hf1 or the
// name of its zip. What it cannot read stays as it is.
func nameOfAnother(text string) string {
	if named, err := hotfix.ParseFileName(text); err == nil {
		return named.Name()
	}
	_, rest, _ := strings.Cut(text, "-")
	for _, t := range []string{text, rest} {
		if name, err := hotfix.ParseName(t); err == nil {
			return name
		}
	}
	return text
}

// startsHere refuses a prepared change that starts at another level or on other hotfixes.
func (h *Home) startsHere(from plan.Point) error {
	if from.Level == h.state.Level && from.Channel == h.state.Channel && slices.Equal(from.Hotfixes, h.state.Hotfixes) {
		return nil
	}
	return problem.New(problem.Refused, "Drop it with prepare --discard, then update again.",
		"The prepared change starts at another level, or on other hotfixes, than the product is at")
}
