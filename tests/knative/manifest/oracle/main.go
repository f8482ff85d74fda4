// Runs the defaulting and validation of Knative's webhook over manifests.
//
// Reads a JSON array of manifests of Knative Services; writes a JSON array with, for each,
// {"errors": [...], "warnings": [...]}. Decoding is strict, as the webhook's is.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"

	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	v1 "knative.dev/serving/pkg/apis/serving/v1"
)

type verdict struct {
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

func main() {
	var manifests []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&manifests); err != nil {
		panic(err)
	}
	verdicts := make([]verdict, len(manifests))
	for i, manifest := range manifests {
		verdicts[i] = judge(manifest)
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		panic(err)
	}
}

func judge(manifest []byte) verdict {
	result := verdict{Errors: []string{}, Warnings: []string{}}
	service := &v1.Service{}
	decoder := json.NewDecoder(bytes.NewReader(manifest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(service); err != nil {
		result.Errors = append(result.Errors, err.Error())
		return result
	}
	ctx := config.ToContext(apis.WithinCreate(context.Background()), config.FromContextOrDefaults(context.Background()))
	service.SetDefaults(ctx)
	found := service.Validate(ctx)
	for _, problem := range found.Filter(apis.ErrorLevel).WrappedErrors() {
		result.Errors = append(result.Errors, problem.Error())
	}
	for _, problem := range found.Filter(apis.WarningLevel).WrappedErrors() {
		result.Warnings = append(result.Warnings, problem.Error())
	}
	return result
}
