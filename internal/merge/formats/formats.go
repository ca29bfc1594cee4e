// Package formats says which format a file is merged by, from its name.
package formats

import (
	"path"
	"strings"

	"uplevel/internal/merge"
	"uplevel/internal/merge/bundles"
	"uplevel/internal/merge/ini"
	"uplevel/internal/merge/json"
	"uplevel/internal/merge/properties"
	"uplevel/internal/merge/toml"
	"uplevel/internal/merge/xml"
	"uplevel/internal/merge/yaml"
)

// For returns the format of the file called name, or nil where only its lines are
// known. Templates (deployment.toml.j2) end in their own suffix and have none: they only
// look like the format that they will become.
func For(name string) merge.Format {
	name = strings.ToLower(path.Base(name))
	if name == "bundles.info" {
		return bundles.Format{}
	}
	switch path.Ext(name) {
	case ".properties":
		return properties.Format{}
	case ".ini", ".cfg":
		return ini.Format{}
	case ".toml":
		return toml.Format{}
	case ".yaml", ".yml":
		return yaml.Format{}
	case ".json":
		return json.Format{}
	case ".xml", ".xsl", ".xslt", ".xsd", ".wsdl":
		return xml.Format{}
	}
	return nil
}
