import {
  to = dbxcmk_key_configuration.lakehouse
  identity = {
    id = "0987dcba-09fe-47dc-a5ba-ab0987654321"
  }
}
