variable "key_arn" {
  type = string

  validation {
    condition     = provider::dbxcmk::parse_key_arn(var.key_arn).region == "eu-central-1"
    error_message = "The key must be in the region of the workspaces, eu-central-1."
  }
}
