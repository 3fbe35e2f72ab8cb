#!/bin/sh
# Copies what has one source and several places: the resource definitions (crds/) and the monitoring files
# (deploy/monitoring/) into the chart, which can only read its own folder, and the definitions into one file for kubectl.
# A test compares the copies.
set -eu
cd "$(dirname "$0")/.."

chart=charts/causeway/files
rm -rf "$chart"
mkdir -p "$chart/crds" "$chart/monitoring/dashboards"
cp crds/*.yaml "$chart/crds/"
cp deploy/monitoring/rules.yaml deploy/monitoring/kube-state-metrics.yaml "$chart/monitoring/"
cp deploy/monitoring/dashboards/*.json "$chart/monitoring/dashboards/"
{
    cat crds/brokernetworks.yaml
    echo "---"
    cat crds/brokerusers.yaml
} >deploy/crds/causeway.yaml
