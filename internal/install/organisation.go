package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"uplevel/internal/durable"
	"uplevel/internal/problem"
)

// organisationFile says whose the installation is.
const organisationFile = updatesDir + "/organisation"

// Organisation is whose an installation is, as the service told it.
type Organisation struct {
	ID   string `json:"id"`             // opaque
	Name string `json:"name,omitempty"` // as it stands in names of hotfixes; empty: not known
}

type organisationText struct {
	Format int `json:"format"` // 1
	Organisation
}

// Organisation returns whose the installation is; zero while that is not known.
func (h *Home) Organisation() (Organisation, error) {
	data, err := h.readSmall(organisationFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Organisation{}, nil
	}
	var o organisationText
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err == nil && (o.Format != 1 || o.ID == "") {
		err = fmt.Errorf("format %d is unknown, or it names nobody", o.Format)
	}
	if err != nil {
		return Organisation{}, problem.New(problem.Refused, "Remove it, then run current-state with --username and a password: it is learned anew.",
			"updates/organisation cannot be used: %w", err)
	}
	return o.Organisation, nil
}

// Learn keeps whose the installation is. The home must be locked.
func (h *Home) Learn(o Organisation) error {
	data, err := json.Marshal(organisationText{Format: 1, Organisation: o})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(h.abs(organisationFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return h.dress(organisationFile, updatesDir, organisationFile)
}
