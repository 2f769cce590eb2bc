package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// document is a bill of materials.
//
// Source: SPDX 2.3, clauses 6 (creation), 7 (packages), 11 (relationships).
type document struct {
	Version       string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []spdxPackage  `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	Name       string      `json:"name"`
	ID         string      `json:"SPDXID"`
	Version    string      `json:"versionInfo"`
	FileName   string      `json:"packageFileName,omitempty"`
	Download   string      `json:"downloadLocation"`
	Analyzed   bool        `json:"filesAnalyzed"`
	Checksums  []checksum  `json:"checksums,omitempty"`
	SourceInfo string      `json:"sourceInfo,omitempty"`
	Concluded  string      `json:"licenseConcluded"`
	Declared   string      `json:"licenseDeclared"`
	Copyright  string      `json:"copyrightText"`
	References []reference `json:"externalRefs"`
	Purpose    string      `json:"primaryPackagePurpose"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const (
	noAssertion = "NOASSERTION"
	documentID  = "SPDXRef-DOCUMENT"
	hutchID     = "SPDXRef-Package-hutch"
)

// notInID is what an SPDX identifier may not have.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// sbom writes the bill of materials of a release's binary: itself, Go's library, and
// each module that is linked.
func sbom(r release, binary []byte, linked []module) ([]byte, error) {
	sum := sha256.Sum256(binary)
	hash := hex.EncodeToString(sum[:])
	doc := document{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: documentID, Name: r.name(),
		// Unique, as it has to be: no other binary has the sum.
		Namespace: "https://" + modulePath + "/spdx/" + r.name() + "-" + hash,
		Creation: creation{time.Unix(r.epoch, 0).UTC().Format(time.RFC3339),
			[]string{"Organization: Hutch project", "Tool: " + modulePath + "/dist-" + r.version}},
		Packages: []spdxPackage{{
			Name: "hutch", ID: hutchID, Version: r.version, FileName: "hutch", Download: noAssertion,
			Checksums:  []checksum{{"SHA256", hash}},
			SourceInfo: "commit " + r.commit + ", GOOS linux, GOARCH " + r.arch,
			Concluded:  "Apache-2.0", Declared: "Apache-2.0", Copyright: noAssertion,
			References: []reference{purl(modulePath, "v"+r.version)}, Purpose: "APPLICATION",
		}},
		Relationships: []relationship{{documentID, "DESCRIBES", hutchID}},
	}
	for _, m := range linked {
		p := spdxPackage{
			Name: m.path, ID: "SPDXRef-Package-" + notInID.ReplaceAllString(m.path, "-"),
			Version: m.version, Download: noAssertion,
			Concluded: m.expression(), Declared: m.expression(), Copyright: noAssertion,
			References: []reference{purl(m.path, m.version)}, Purpose: "LIBRARY",
		}
		if m.sum != "" {
			p.SourceInfo = "go.sum " + m.sum
		}
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, relationship{hutchID, "STATIC_LINK", p.ID})
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(doc)
	return out.Bytes(), err
}

// purl names a Go module as scanners look it up; they know Go's library as stdlib.
func purl(path, version string) reference {
	if path == std {
		path = "stdlib"
	}
	return reference{"PACKAGE-MANAGER", "purl", "pkg:golang/" + strings.ToLower(path) + "@" + version}
}
