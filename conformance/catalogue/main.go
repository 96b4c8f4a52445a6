// Command catalogue prints, as JSON, every test that the suite holds, every test of ours, and every feature that exists.
//
// The suite skips a test without a word when a feature of it is not claimed, and a misspelt feature is not claimed.
// So what ran is compared with this list.
package main

import (
	"encoding/json"
	"os"
	"slices"

	"portcullis.dev/cluster/conformance/own"
	// The package that holds the suite's manifests: named here so that its version is pinned with the others.
	_ "sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

type test struct {
	Name        string                 `json:"name"`
	Features    []features.FeatureName `json:"features"`
	Profiles    []string               `json:"profiles"`
	Mesh        bool                   `json:"mesh"`
	Provisional bool                   `json:"provisional"`
	// Own: it is a test of ours.
	Own      bool `json:"own"`
	Parallel bool `json:"parallel"`
}

type catalogue struct {
	Tests []test `json:"tests"`
	// Features that concern gateways; those of meshes are left out.
	Features []features.FeatureName `json:"features"`
}

var profiles = []suite.ConformanceProfile{
	suite.GatewayHTTPConformanceProfile,
	suite.GatewayGRPCConformanceProfile,
	suite.GatewayTLSConformanceProfile,
	suite.GatewayTCPConformanceProfile,
	suite.GatewayUDPConformanceProfile,
}

func main() {
	mesh := features.SetsToNamesSet(features.MeshCoreFeatures, features.MeshExtendedFeatures)
	all := catalogue{Features: features.SetsToNamesSet(features.AllFeatures).Difference(mesh).UnsortedList()}
	slices.Sort(all.Features)
	for _, t := range tests.ConformanceTests {
		all.Tests = append(all.Tests, entry(t, mesh.HasAny(t.Features...), false))
	}
	for _, t := range own.Tests {
		all.Tests = append(all.Tests, entry(t, false, true))
	}
	slices.SortFunc(all.Tests, func(a, b test) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		panic(err)
	}
}

func entry(t suite.ConformanceTest, mesh, own bool) test {
	found := test{
		Name: t.ShortName, Features: t.Features, Profiles: []string{},
		Mesh: mesh, Provisional: t.Provisional, Parallel: t.Parallel, Own: own,
	}
	for _, p := range profiles {
		if p.CoreFeatures.Union(p.ExtendedFeatures).HasAll(t.Features...) {
			found.Profiles = append(found.Profiles, string(p.Name))
		}
	}
	return found
}
