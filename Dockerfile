# The command `dbxcmk`, the provider and the sandbox, for CI:
#   docker build --tag dbxcmk .
#   docker run --rm --volume "$PWD:/work" dbxcmk review plan.json
# /providers is a filesystem mirror, and TF_CLI_CONFIG_FILE names a CLI configuration that uses it: copy both into an image with Terraform.
FROM rust:1.95-slim-bookworm AS build
# aws-lc needs a C compiler and CMake.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN make install PREFIX=/usr/local MIRROR=/providers

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 dbxcmk
COPY --from=build /usr/local/bin/terraform-provider-dbxcmk /usr/local/bin/dbxcmk /usr/local/bin/dbxcmk-sandbox /usr/local/bin/
COPY --from=build /usr/local/share/dbxcmk /usr/local/share/dbxcmk
COPY --from=build /providers /providers
ENV TF_CLI_CONFIG_FILE=/usr/local/share/dbxcmk/terraform.rc
USER dbxcmk
WORKDIR /work
ENTRYPOINT ["dbxcmk"]
CMD ["--help"]
